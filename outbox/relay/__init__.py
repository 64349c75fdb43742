"""The relay: publishes outbox events to RabbitMQ, as far as its queues have capacity.

Read process, loop, poll_policy, pipeline, capacity, scan_cursor, unpublishable.
"""
