"""What the demo prints."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pypdf import PdfReader

from dev.say import shown

ENDED = ("succeeded", "dead", "cancelled")


def title(text: str) -> None:
    """A heading of the story."""
    print(f"\n== {text}", flush=True)


def tell(text: str) -> None:
    """A line of the story."""
    print(f"   {text}", flush=True)


def tell_pdf(pdf: Path, lines: int | None = None) -> None:
    """Where the PDF is, how large, and the first lines that it says."""
    pages = PdfReader(pdf).pages
    tell(f"{shown(pdf)}, {pdf.stat().st_size:,} bytes, pages: {len(pages)}; it says")
    for line in pages[0].extract_text().splitlines()[:lines]:
        tell(f"    {line}")


def way(job: Mapping[str, Any]) -> str:
    """The job's states so far, with the milliseconds between them."""
    steps = ["queued"]
    for attempt in job["attempts"]:
        since = _milliseconds(job["created_at"], attempt["started_at"])
        steps.append(f"running (+{since} ms)")
        if attempt["outcome"] not in ("running", "succeeded"):
            steps.append(f"{attempt['outcome']}: {attempt['error_message']}")
    if job["state"] in ENDED:
        steps.append(f"{job['state']} (+{_milliseconds(job['created_at'], job['finished_at'])} ms)")
    return " → ".join(steps[:1] + steps[-3:] if len(steps) > 4 else steps)


def _milliseconds(start: str, end: str) -> int:
    between = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return round(between.total_seconds() * 1e3)
