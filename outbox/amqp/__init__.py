"""Connects to RabbitMQ, declares and measures its queues, and publishes messages to them.

Read topology, messages, connection, channel and publisher; then queue_backoff and
queue_depths. foreign_headers and odd_headers deal with messages that are not Duly's.
"""
