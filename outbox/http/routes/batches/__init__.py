"""The routes for batches: handlers, and the schemas of what they take and answer.

Read submit, new_batch; schemas, then handlers.
"""
