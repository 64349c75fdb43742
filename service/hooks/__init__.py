"""Webhooks in: events that Stripe and others send, which become jobs.

Read jobs_of_events (which event becomes which job), then signatures, reading, keeping, and routes.
"""
