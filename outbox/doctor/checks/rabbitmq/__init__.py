"""Checks of RabbitMQ: over AMQP (broker, queues), and by its management API."""
