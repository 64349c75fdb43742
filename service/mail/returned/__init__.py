"""Mails that came back: reads what servers say of them, and records it."""
