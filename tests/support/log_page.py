"""What docs/logs.md says of log lines."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "logs.md").read_text()
_FIELDS, _EVENTS = PAGE.split("\n## Events\n")
_ROW = re.compile(r"^\| `+ ?(.+?) ?`+ \| (\w+) \| ([\w, ]+) \| (.*?) \| .+ \|$", re.MULTILINE)

FIELDS: list[str] = re.findall(r"^\| `(\w+)` \|", _FIELDS, re.MULTILINE)
"""All fields that it explains."""
EVENTS: dict[str, tuple[str, set[str], set[str]]] = {
    event: (level, set(processes.split(", ")), set(re.findall(r"`(\w+)`", fields)))
    for event, level, processes, fields in _ROW.findall(_EVENTS)
}
"""The level, the processes and the fields of each event."""
OF_LOGS = {"timestamp", "level", "event", "logger", "exception"}
"""What outbox/logs.py adds to each line."""
OF_TRACES = {"trace_id", "span_id"}
"""What lines of a traced request or attempt have."""
