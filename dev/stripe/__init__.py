"""A server that speaks Stripe's HTTP API for payment intents and refunds.

The tests and the demo charge there. It keeps the book of what moved money, repeats its answer to an
Idempotency-Key as Stripe does, sends signed events, and misbehaves on demand. To run it:
`python -m dev.stripe PORT [EVENTS_URL SECRET]`. Read server, provider, then book.
"""
