"""What nobody may read outside of its place, and the settings in which some of it is."""

import base64
import secrets
from collections.abc import Iterable

NAMES = (
    "address",
    "mail text",
    "mail html",
    "webhook data",
    "endpoint token",
    "answer",
    "header",
    "cookie",
    "query",
    "path",
    "body",
    "field",
    "signature",
    "foreign body",
    "foreign header",
    "idempotency key",
    "unknown api key",
    "database password",
    "broker password",
    "smtp password",
    "collector key",
    "s3 key",
    "stripe key",
    "stripe webhook secret",
    "links secret",
    "mail secret",
)


class Secrets(dict[str, str]):
    """A text for each name: unlike any other, and nothing that Duly would refuse."""

    def __init__(self) -> None:
        super().__init__({name: f"q{secrets.token_hex(16)}" for name in NAMES})
        self["document key"] = base64.b64encode(secrets.token_bytes(32)).decode()

    def add(self, name: str, text: str | None = None) -> str:
        """One more: the text, or a new one."""
        return self.setdefault(name, text or f"q{secrets.token_hex(16)}")

    def found_in(self, text: str, allowed: Iterable[str] = ()) -> list[str]:
        """The names of those that the text gives away, in either case."""
        lowered = text.lower()
        found = [name for name, secret in self.items() if secret.lower() in lowered]
        return sorted(set(found) - set(allowed))

    def environment(self, smtp: str, s3: str, stripe: str) -> dict[str, str]:
        """The settings that hold secrets, with the addresses of these servers."""
        return {
            "DULY_SMTP_URL": f"smtp://duly:{self['smtp password']}@{smtp}?starttls=never",
            "DULY_STRIPE_KEY": f"sk_test_{self['stripe key']}",
            "DULY_STRIPE_URL": stripe,
            "DULY_STRIPE_WEBHOOK_SECRETS": f"whsec_{self['stripe webhook secret']}",
            "DULY_LINKS_SECRET": self["links secret"],
            "DULY_MAIL_SECRET": self["mail secret"],
            "DULY_MAIL_UNSUBSCRIBE_URL": "https://mail.example.com/v1/unsubscribe",
            "DULY_DOCUMENTS_KEYS": f"first:{self['document key']}",
            "DULY_DOCUMENTS_URL": "s3://bucket/prefix",
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": self["s3 key"],
            "AWS_ENDPOINT_URL": s3,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-west-1",
            "DULY_WEBHOOKS_MAY_REACH_PRIVATE": "true",
        }
