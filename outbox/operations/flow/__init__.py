"""What people see and do with keys, paused queues, and messages to other services."""
