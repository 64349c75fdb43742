"""Encrypted documents: any part can be read alone, and nothing that was changed is read at all."""

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.documents.encryption import (
    HEADER,
    PART,
    SEALED_PART,
    Decryptor,
    DocumentDamaged,
    Encryptor,
)
from service.documents.keys import Key, read_keys

OLD, NEW = Key("2025", os.urandom(32)), Key("2026", os.urandom(32))
NAME = "files/1"


def encrypted(content: bytes, key: Key = NEW, name: str = NAME, step: int = PART) -> bytes:
    encryptor = Encryptor(key, name)
    parts = [content[at : at + step] for at in range(0, len(content), step)]
    return b"".join([*map(encryptor.update, parts), encryptor.finish()])


def decrypted(stored: bytes, *keys: Key, name: str = NAME) -> bytes:
    decryptor = Decryptor(keys or (NEW,), name, stored[:HEADER], len(stored))
    return decryptor.open(0, stored[HEADER:])


@settings(max_examples=30)
@given(
    size=st.one_of(
        st.integers(0, 300), st.sampled_from([k * PART + d for k in (1, 2) for d in (-1, 0, 1)])
    ),
    step=st.sampled_from([7 * 1024, PART, 3 * PART]),
)
def test_what_was_encrypted_is_decrypted(size: int, step: int) -> None:
    content = os.urandom(size)
    stored = encrypted(content, step=step)
    assert content not in stored or size < 4
    assert decrypted(stored) == content
    assert Decryptor([NEW], NAME, stored[:HEADER], len(stored)).size == size


def test_each_part_can_be_read_alone() -> None:
    content = os.urandom(2 * PART + 5)
    stored = encrypted(content)
    decryptor = Decryptor([NEW], NAME, stored[:HEADER], len(stored))
    for number in range(3):
        start = HEADER + number * SEALED_PART
        part = decryptor.open(number, stored[start : start + SEALED_PART])
        assert part == content[number * PART :][:PART]


def test_the_same_content_is_never_stored_alike() -> None:
    assert encrypted(b"same") != encrypted(b"same")


STORED = encrypted(os.urandom(3 * PART))
PARTS = [STORED[HEADER + n * SEALED_PART :][:SEALED_PART] for n in range(3)]


@pytest.mark.parametrize(
    "changed",
    [
        STORED[:-1],
        STORED[: HEADER + 2 * SEALED_PART],
        STORED[: HEADER + SEALED_PART],
        STORED[:HEADER],
        STORED + b"x",
        STORED + PARTS[2],
        STORED[:HEADER] + PARTS[1] + PARTS[0] + PARTS[2],
        STORED[:HEADER] + PARTS[0] + PARTS[2],
        STORED[: HEADER - 1] + bytes([STORED[HEADER - 1] ^ 1]) + STORED[HEADER:],
        STORED[: HEADER + 9] + bytes([STORED[HEADER + 9] ^ 1]) + STORED[HEADER + 10 :],
    ],
    ids=[
        *("a byte cut off", "a part cut off", "two parts cut off", "all parts cut off"),
        *("a byte added", "a part doubled", "parts swapped", "a part left out"),
        *("another salt", "another byte"),
    ],
)
def test_a_document_that_was_changed_is_damaged(changed: bytes) -> None:
    with pytest.raises(DocumentDamaged, match=NAME):
        decrypted(changed)


def test_a_document_cannot_stand_for_another() -> None:
    with pytest.raises(DocumentDamaged):
        decrypted(encrypted(b"x"), name="files/2")


def test_older_keys_still_read_what_they_encrypted() -> None:
    assert decrypted(encrypted(b"x", OLD), NEW, OLD) == b"x"
    with pytest.raises(DocumentDamaged, match="there is no key '2025'"):
        decrypted(encrypted(b"x", OLD), NEW)
    with pytest.raises(DocumentDamaged, match="part 0"):
        decrypted(encrypted(b"x", OLD), Key("2025", NEW.secret))


def test_keys_are_read_from_a_setting() -> None:
    text = ", ".join(f"{key.id}:{base64.b64encode(key.secret).decode()}" for key in (NEW, OLD))
    assert read_keys(text) == (NEW, OLD)
    assert read_keys("") == ()
    assert str(NEW.secret) not in repr(read_keys(text))


SECRET = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    ["secret", "1:secret", f":{SECRET}", f"a b:{SECRET}", "1:AAAA", f"1:{SECRET},1:{SECRET}"],
)
def test_a_wrong_setting_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be like|the same id") as refused:
        read_keys(text)
    assert SECRET not in str(refused.value)
