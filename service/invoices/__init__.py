"""Invoices over HTTP. Read routes, then schemas."""
