"""The reference application: a billing back office that makes and charges invoices.

Each subject has a folder: charging, hooks, invoices, mail, webhooks. Read its kinds (jobs), models
(tables), schemas and routes (its HTTP API), then subject, which names them all. subjects lists the
subjects; jobs and app make the service from that list. documents and settings are what all of them
need. The work is in actors.
"""
