"""Deletes what was kept for long enough: finished jobs, closed dead letters, messages.

Reading order: walks, pruner, letter_pruner, message_pruner.
"""
