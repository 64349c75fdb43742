"""Messages to other services, written in the caller's transaction.

Reading order: publish, body, cloud_events, headers, tracing.
"""
