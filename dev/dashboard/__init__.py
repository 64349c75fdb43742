"""Makes outbox/monitoring/dashboard.json, and the table of its panels in docs/monitoring.md.

`make dashboard` writes both. Read panel, jobs and processes, which say what is shown, then grafana,
which writes it as Grafana reads it.
"""
