"""Checks who signed an event: as Stripe signs, and as in Standard Webhooks.

Both sign the time as well as the raw body; what was signed more than five minutes ago is refused.
"""

import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable

from standardwebhooks import Webhook, WebhookVerificationError

TOLERANCE_SECONDS = 300
"""That of the library standardwebhooks, too."""
STRIPE_HEADERS = ("stripe-signature",)
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
PREFIX = "whsec_"


def new_secret() -> str:
    """A secret as in Standard Webhooks, of 256 random bits."""
    return PREFIX + b64encode(secrets.token_bytes(32)).decode()


STAND_IN = new_secret()
"""Nobody has it. It is tried where there is no secret, and takes as long as a wrong one."""


def signed_by_stripe(body: bytes, signature: str, known: Iterable[str]) -> bool:
    """Whether Stripe signed the body with one of these secrets, in the last five minutes."""
    from stripe import SignatureVerificationError, WebhookSignature  # takes half a second

    def check(secret: str) -> None:
        try:
            WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
        except SignatureVerificationError:
            raise ValueError from None

    return _any_accepts(check, known)


def signed_as_standard(
    body: bytes, event_id: str, timestamp: str, signature: str, known: Iterable[str]
) -> bool:
    """Whether the body was signed with one of these secrets, in the last five minutes."""
    headers = dict(zip(STANDARD_HEADERS, (event_id, timestamp, signature), strict=True))

    def check(secret: str) -> None:
        try:
            Webhook(secret).verify(body, headers, json_parse=False)
        except WebhookVerificationError:
            raise ValueError from None

    return _any_accepts(check, known)


def _any_accepts(check: Callable[[str], None], known: Iterable[str]) -> bool:
    accepted = [_accepts(check, secret) for secret in [*known] or [STAND_IN]]
    return any(accepted)  # all are tried: the time does not say which of them was right


def _accepts(check: Callable[[str], None], secret: str) -> bool:
    try:
        check(secret)
    except (ValueError, TypeError):  # also from libraries: what is no UTF-8, base64 or ASCII
        return False
    return True
