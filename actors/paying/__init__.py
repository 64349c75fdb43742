"""Stripe, as the actors of charging use it: its client, payment intents and refunds."""
