"""The reference application: a billing back office that makes invoices, images, mails and webhooks.

Each subject has a folder: files, images, invoices, mail, webhooks. Read its kinds (jobs), models
(tables), schemas and routes (its HTTP API), then subject, which names them all. subjects lists the
subjects; jobs and app make the service from that list. documents and settings are what all of them
need. The work is in actors.
"""
