"""The witness remembers what clients and the service elsewhere were told."""

from pathlib import Path

import httpx2

from tests.chaos.witness import Witness, receiver


def test_what_is_told_and_what_is_called_is_kept_apart(tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness.sqlite")
    witness.told("order-1")
    witness.told_cancelled("order-3")
    with receiver(witness) as url:
        for key in ("a", "a", "b"):
            headers = {"Idempotency-Key": key}
            httpx2.post(url, json={"key": "order-2"}, headers=headers).raise_for_status()
    assert witness.accepted == {"order-1"}
    assert witness.cancelled == {"order-3"}
    assert witness.calls == {"order-2": {"a": 2, "b": 1}}
    witness.close()
