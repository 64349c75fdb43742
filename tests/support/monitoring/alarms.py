"""A Prometheus that watches Duly's processes, and the alerts that it raises."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from dev import prometheus
from dev.ports import free_port
from dev.private import home
from tests.support.wait import wait_for

EVERY = "500ms"
"""How often it scrapes, and looks at its rules."""
PATIENCE_SECONDS = 120
"""The longest `for` of the rules takes 60."""
UNFILLED = ("{{", "<no value>", "<error")


class Alarms:
    """The alerts of a Prometheus."""

    def __init__(self, address: str) -> None:
        self._http = httpx2.Client(base_url=address)

    def wait_until_quiet(self) -> None:
        """All that is to be scraped is scraped, and nothing fires."""
        wait_for("Prometheus sees all processes", self._sees_all, PATIENCE_SECONDS)
        wait_for("no alert", lambda: not self.firing(), PATIENCE_SECONDS)

    def wait_until_raised(self, name: str) -> dict[str, str]:
        """The labels of the alert, once it fires; it says what happened in whole sentences."""
        found = wait_for(f"{name} fires", lambda: self.firing().get(name), PATIENCE_SECONDS)
        for text in found["annotations"].values():
            assert not any(each in text for each in UNFILLED), text
        labels: dict[str, str] = found["labels"]
        return labels

    def wait_until_cleared(self, name: str) -> None:
        """It does not fire any more."""
        wait_for(f"{name} clears", lambda: name not in self.firing(), PATIENCE_SECONDS)

    def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by name."""
        found = self._get("/api/v1/alerts")["alerts"]
        return {each["labels"]["alertname"]: each for each in found if each["state"] == "firing"}

    def value(self, expression: str) -> float | None:
        """What Prometheus says now; None if it has no such series."""
        found = self._get("/api/v1/query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    def is_ready(self) -> bool:
        """Whether Prometheus answers."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx2.TransportError:
            return False

    def close(self) -> None:
        """Ask no more."""
        self._http.close()

    def _sees_all(self) -> bool:
        targets = self._get("/api/v1/targets", state="active")["activeTargets"]
        return bool(targets) and all(each["health"] == "up" for each in targets)

    def _get(self, path: str, **parameters: str) -> Any:
        return self._http.get(path, params=parameters).raise_for_status().json()["data"]


@contextmanager
def watching(folder: Path, rules: str, targets: Mapping[str, Sequence[str]]) -> Iterator[Alarms]:
    """A Prometheus on these addresses; it keeps its data in the folder, and ends with the block."""
    port = free_port()
    prometheus.configure(folder, rules, targets, every=EVERY)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            prometheus.server(home() / "prometheus", folder, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        with closing(Alarms(f"http://127.0.0.1:{port}")) as alarms:
            wait_for("Prometheus is ready", alarms.is_ready)
            yield alarms
    finally:
        process.kill()
        process.wait()
        print((folder / "log").read_text())  # noqa: T201 - pytest shows it
