"""The reference application: a billing back office.

Each subject has a folder: charging, closings, files, hooks, images, imports, invoices, mail,
reports, webhooks. Read its kinds (jobs), models (tables), schemas and routes (its HTTP API), then
subject, which names them all. subjects lists the subjects; jobs and app make the service from that
list. What several of them need is beside these: documents, settings, own_settings (the settings,
for handlers), job_times. The work is in actors.
"""
