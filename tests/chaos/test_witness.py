"""The witness remembers what clients and the service elsewhere were told."""

from pathlib import Path

import httpx2

from tests.chaos.witness import Witness, receiver


def test_what_is_told_and_what_is_called_is_kept_apart(tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness.sqlite")
    witness.asked("order-1")
    witness.asked("order-2")
    witness.told("order-1")
    witness.received("order-4", "m")
    witness.told_cancelled("order-3")
    with receiver(witness) as url:
        for key in ("a", "a", "b"):
            headers = {"Idempotency-Key": key}
            httpx2.post(url, json={"key": "order-2"}, headers=headers).raise_for_status()
    ((accepted, (asked, told)),) = witness.accepted.items()
    assert accepted == "order-1"
    assert asked < told
    assert witness.messages == {"order-4": {"m": 1}}
    assert witness.cancelled == {"order-3"}
    assert witness.calls == {"order-2": {"a": 2, "b": 1}}
    witness.close()
