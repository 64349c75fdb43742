"""The keys that documents are encrypted with, as a setting has them."""

from base64 import b64decode
from dataclasses import dataclass, field

LONGEST_ID = 40
FORM = "must be like 2026:BASE64, with 32 random bytes; older keys follow, separated by commas"


@dataclass(frozen=True, slots=True)
class Key:
    """A key for documents, by its id."""

    id: str
    secret: bytes = field(repr=False)


def read_keys(text: str) -> tuple[Key, ...]:
    """Parse a list of keys. Raises ValueError, which does not quote the text."""
    keys = tuple(map(_key, filter(None, map(str.strip, text.split(",")))))
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("two keys have the same id")
    return keys


def _key(text: str) -> Key:
    id_, _, secret = text.partition(":")
    try:
        key = Key(id_, b64decode(secret, validate=True))
    except ValueError:
        raise ValueError(FORM) from None
    if not (id_.isascii() and id_.isalnum() and len(id_) <= LONGEST_ID and len(key.secret) == 32):
        raise ValueError(FORM)
    return key
