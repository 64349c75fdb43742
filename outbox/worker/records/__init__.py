"""How claims and outcomes reach Postgres, and how a failure is described there.

Reading order: group_commit, group_size, held_records, failure_record.
"""
