"""The invoice service: HTTP handlers, what they write, and the management command."""
