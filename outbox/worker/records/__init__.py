"""How claims and outcomes reach Postgres, and how a failure is described there.

Reading order: failure_record, group_commit, statements, claims, group_size, held_records,
unusable_messages.
"""
