"""Charging invoices: payments and their refunds. Read subject, kinds, models, then routes."""
