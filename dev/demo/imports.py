"""A file of charges is imported row by row; what is wrong with it comes back as a file."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dev.demo import services
from dev.demo.stage import Stage
from dev.demo.telling import tell, title
from dev.say import shown
from outbox.operations.progress import ProgressRecord

ROWS = 20_000
HEADER = "customer,email,description,quantity,unit_price,currency,date"
BAD = {
    4_711: "Blaise Pascal,blaise@example.com,Wheels,a dozen,12.00,EUR,2026-11-03",
    12_345: "Charles Babbage,charles@example.com,Brass,3,1.99,GBP,2026-11-31",
    19_001: "Grace Hopper,no address,Nanoseconds,1000,0.01,USD,2026-11-09",
}
"""By line of the file, of which the first is the header."""


def show(stage: Stage) -> None:
    """Upload a file with three bad rows, draw its bar, and show what was wrong."""
    title(f"A file of {ROWS:,} charges is imported; three of its rows are wrong")
    file = services.HOME / "charges.csv"
    file.write_text("".join(f"{line}\n" for line in _lines()))
    begun = stage.post("/v1/imports", {"file": file.name, "size": file.stat().st_size})
    tell(f"PUT {begun['links']['content']}: {file.stat().st_size:,} bytes of {shown(file)}")
    stage.api.put(begun["links"]["content"], content=file.read_bytes()).raise_for_status()
    ended = stage.draw(begun["links"]["self"], "ended_at", _progress)
    tell(f"{ended['state']}: {ended['good']:,} rows are charges now, {ended['bad']} are bad")
    _show_bad_rows(stage, ended)


def _lines() -> Iterator[str]:
    yield HEADER
    for line in range(2, ROWS + 2):
        who = f"Customer {line % 500},customer{line % 500}@example.com"
        yield BAD.get(line, f"{who},Line {line},{line % 9 + 1},{line % 90}.50,EUR,2026-11-30")


def _progress(each: Mapping[str, Any]) -> ProgressRecord:
    """How many rows are loaded or known to be bad."""
    made_at = datetime.fromisoformat(each["created_at"])
    return ProgressRecord(each["good"] + each["bad"], ROWS, each["state"], made_at, 1, None)


def _show_bad_rows(stage: Stage, ended: dict[str, Any]) -> None:
    file = services.HOME / "bad-rows.csv"
    file.write_bytes(stage.api.get(ended["links"]["bad_rows"]).raise_for_status().content)
    tell(f"what is wrong with them, {shown(file)}:")
    for line in file.read_text("utf-8-sig").splitlines():
        tell(f"    {line}")
