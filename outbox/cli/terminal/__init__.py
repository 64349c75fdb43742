"""What commands print, and the times that people type.

Read output, which prints all data; then views (jobs and dead letters), pages, ids and times.
"""
