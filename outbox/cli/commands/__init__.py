"""The commands of `duly`: one module for each command or group of commands.

Read status and jobs first, then dlq, acts and keys, which are alike; then processes and migrate.
"""
