"""Invoices. Read subject, kinds, models, then routes and schemas."""
