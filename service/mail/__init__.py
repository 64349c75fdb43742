"""The mail settings and addresses that handlers and actors share.

Read server, addresses, then one_line. actors/emails.py sends the mail.
"""
