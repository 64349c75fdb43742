"""Month ends: all invoices of a month charged, rendered and mailed, and a report.

Read subject, kinds, models, then routes and schemas. actors/closings.py does the work.
"""
