"""Encrypts documents in parts, so that any part of a large one can be read alone.

An encrypted document is a header and parts of 64 KiB, each sealed with AES-256-GCM. The header has
the id of a key and a random salt. Of these and the document's name a key for this one document is
derived (HKDF-SHA256), so no nonce is ever used twice, and no document can stand for another. The
nonce of a part is its number, and whether it is the last: parts that were moved, left out or cut
off at the end are found. It is the construction of age (STREAM), read at any place.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from service.documents.keys import LONGEST_ID, Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x89DulyE1\n"
SALT = 16
HEADER = len(MAGIC) + LONGEST_ID + SALT
PART = 64 * 1024
TAG = 16
SEALED_PART = PART + TAG


class DocumentDamaged(Exception):
    """The document was changed or cut off in the store, or is encrypted with an unknown key."""


class Encryptor:
    """Encrypts one document: the bytes of `update`, one after the other, then those of `finish`."""

    def __init__(self, key: Key, name: str) -> None:
        header = MAGIC + key.id.encode().ljust(LONGEST_ID, b"\0") + os.urandom(SALT)
        self._cipher = _cipher(key, name, header)
        self._out = [header]
        self._rest = bytearray()
        self._number = 0

    def update(self, content: bytes) -> bytes:
        """The next encrypted bytes; may be none yet."""
        self._rest += content
        while len(self._rest) > PART:  # the last part is sealed by `finish`
            self._seal(is_last=False)
        return self._taken()

    def finish(self) -> bytes:
        """The last encrypted bytes."""
        self._seal(is_last=True)
        return self._taken()

    def _seal(self, *, is_last: bool) -> None:
        nonce = _nonce(self._number, is_last=is_last)
        self._out.append(self._cipher.encrypt(nonce, bytes(self._rest[:PART]), None))
        self._number += 1
        del self._rest[:PART]

    def _taken(self) -> bytes:
        taken, self._out = b"".join(self._out), []
        return taken


class Decryptor:
    """Decrypts the parts of one document, of which `stored` bytes are in the store."""

    def __init__(self, keys: Iterable[Key], name: str, header: bytes, stored: int) -> None:
        """Raises DocumentDamaged if none of the keys is the document's."""
        id_ = header[len(MAGIC) :][:LONGEST_ID].rstrip(b"\0").decode("ascii", "replace")
        key = next((each for each in keys if each.id == id_), None)
        if key is None:
            raise DocumentDamaged(f"{name}: there is no key {id_!r}")
        self._name = name
        self._cipher = _cipher(key, name, header)
        sealed = stored - HEADER
        self.parts = max(-(-sealed // SEALED_PART), 1)
        self.size = max(sealed - self.parts * TAG, 0)

    def open(self, number: int, sealed: bytes) -> bytes:
        """The content of the parts from this number on. Raises DocumentDamaged."""
        cuts = range(0, max(len(sealed), 1), SEALED_PART)
        return b"".join(
            self._open(place, sealed[cut : cut + SEALED_PART])
            for place, cut in enumerate(cuts, start=number)
        )

    def _open(self, number: int, part: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(
                _nonce(number, is_last=number == self.parts - 1), part, None
            )
        except InvalidTag:
            raise DocumentDamaged(f"{self._name}: part {number} is not as it was stored") from None


def _cipher(key: Key, name: str, header: bytes) -> "AESGCM":
    # Imported here, because most processes and commands encrypt nothing.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derive = HKDF(SHA256(), 32, salt=header[-SALT:], info=header + name.encode())
    return AESGCM(derive.derive(key.secret))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])
