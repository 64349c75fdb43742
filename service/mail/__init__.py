"""Mail: its job, and the settings and addresses that handlers and actors share.

Read kinds, server, addresses, then one_line. actors/mail.py sends the mail.
"""
