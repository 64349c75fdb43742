import pytest

from outbox.values.storable import LARGEST, PayloadTooLarge, storable_json


def text_of(length: int, character: str = "x") -> str:
    """A payload of so many bytes in UTF-8, written in ASCII."""
    escaped = character.encode("ascii", "backslashreplace").decode()
    return f'"{escaped * ((length - 2) // len(character.encode()))}"'


def test_a_payload_over_the_limit_is_refused_with_where_large_data_belongs() -> None:
    assert storable_json(text_of(LARGEST))
    with pytest.raises(PayloadTooLarge, match="1000001: keep large data in a document store"):
        storable_json(text_of(LARGEST + 1))


def test_the_limit_counts_bytes_in_utf8_whatever_the_script() -> None:
    written = text_of(LARGEST, "請")
    assert len(written) > 1.9 * LARGEST
    assert storable_json(written) == written
    with pytest.raises(PayloadTooLarge):
        storable_json(text_of(LARGEST + 3, "請"))
