"""Connects to Postgres, runs statements there, and tells what its errors mean.

Read address, round_trip, session_settings, pools and replication; then causes, stale_plans,
outages and refused_records; after_commit says what a session has made true.
"""
