"""The relay: publishes outbox events to RabbitMQ, as far as its queues have capacity.

Read process, loop, pipeline, event_store, capacity, scan_cursor, unpublishable.
"""
