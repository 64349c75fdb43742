"""The relay: publishes outbox events to RabbitMQ, as far as its queues have capacity.

Read process, loop, poll_policy, pipeline, event_store, capacity, scan_cursor, unpublishable.
"""
