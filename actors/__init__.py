"""The work of the service's jobs, one module for each kind of job.

Read invoices; emails with mail_message and smtp; webhooks with addresses, post and retry_after.
"""

from actors import emails, invoices, webhooks
from outbox import Actors

ACTORS = Actors([invoices.render, emails.send, webhooks.deliver])
