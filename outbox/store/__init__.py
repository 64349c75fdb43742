"""The tables, and the SQL that moves a job from state to state.

Reading order: schema, transitions/, then sequences and records.
"""
