"""Who may call what, by API key, and the record of what callers see.

Reading order: scopes, verified_keys, last_seen, record.
"""
