"""Signs mails with DKIM (RFC 6376), if there is a key for it."""

from email.parser import BytesHeaderParser

from service.settings import Settings

SIGNED = (
    *("from", "to", "reply-to", "subject", "date", "message-id", "auto-submitted"),
    *("mime-version", "content-type", "list-unsubscribe", "list-unsubscribe-post"),
)
"""Headers that nobody may change on the way. RFC 8058 asks for those of List-Unsubscribe."""


def signed(message: bytes, settings: Settings) -> bytes:
    """The mail with its signature before it, or as it is without a key.

    Raises OSError if the key's file cannot be read, and dkim.DKIMException if it holds no RSA key:
    both are for the operator to mend, and worth a retry.
    """
    if settings.dkim_key is None:
        return message
    import dkim  # only where mails are signed

    present = {name.lower() for name in BytesHeaderParser().parsebytes(message)}
    domain = settings.dkim_domain or settings.sender.domain
    signature = dkim.sign(
        message,
        settings.dkim_selector.encode(),
        domain.encode(),
        settings.dkim_key.read_bytes(),
        canonicalize=(b"relaxed", b"relaxed"),
        # `from` twice: a second one that somebody adds would break the signature.
        include_headers=[name.encode() for name in SIGNED if name in present] + [b"from"],
    )
    return bytes(signature) + message
