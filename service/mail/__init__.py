"""Mail: its jobs, its tables and its HTTP API, and what handlers and actors share.

Read kinds, models, emails, then routes/ and templates/. suppressions, bounces and
delivery_reports say who gets no more mail. actors/mail.py sends the mail.
"""
