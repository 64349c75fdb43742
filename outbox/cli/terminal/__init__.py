"""What commands print, and the times and ids that people type.

Read output, which prints all data, with tables and text; then views (jobs and dead letters), pages,
ids and times.
"""
