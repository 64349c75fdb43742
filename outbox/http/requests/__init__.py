"""What happens around a handler: its transaction, its Idempotency-Key and strict parsing.

Reading order: transaction, request_transaction, idempotency, strict_route, strict_json, body_size,
database, late_writes.
"""
