"""Imports: charges of customers, from a CSV or XLSX file of any size.

Read kinds and models, then routes (create, look, cancel), upload_routes (the upload, which can be
resumed) with receiving below it, states, which moves an import on, and lifetimes.
actors/imports.py does the work.
"""
