"""A Postgres whose clock can be stepped, and no other clock of the machine with it.

Duly reads no other clock. The step is libfaketime's, from Debian.
"""

from pathlib import Path

from dev.install import install
from dev.owner import write_for_owner
from dev.postgres import PrivatePostgres

CACHE_SECONDS = "1"
"""How late it notices a step."""


class SteppedPostgres(PrivatePostgres):
    """A private Postgres that believes what `step` says."""

    def step(self, seconds: int) -> None:
        """From now on be so far ahead of the true time, or behind it."""
        new = self._clock.with_suffix(".new")
        write_for_owner(new, f"{seconds:+}\n")
        new.rename(self._clock)  # at once: half a file would end the server

    def _launch(self) -> None:
        self.step(0)
        super()._launch()

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": CACHE_SECONDS,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @property
    def _clock(self) -> Path:
        return self.folder / "clock"


def _library() -> Path:
    if not (found := _installed()):
        install("libfaketime")
        found = _installed()
    return found[0]


def _installed() -> list[Path]:
    return list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
