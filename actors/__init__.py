"""The work of this service, one file per subject."""

from actors import emails, invoices, webhooks
from outbox import Actors

ACTORS = Actors([invoices.render, emails.send, webhooks.deliver])
