"""The reference application: a billing back office that makes invoices, mails and webhooks.

Read kinds (its jobs) and models (its tables), then invoices and webhooks (its routes), mail and
documents (what jobs need), then jobs and app, which put it all together. The work is in actors.
"""
