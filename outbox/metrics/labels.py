"""Bounds how many values a label has, and so how many series a process makes."""

import threading
from collections import defaultdict

MOST_VALUES = 200
"""The values of a label beyond the first so many become OTHER."""
OTHER = "other"


class LabelBound:
    """Remembers the values of each label: those of all metrics that have a label of this name.

    A thousand kinds or queues, or names that a client invents, would otherwise each be a series for
    as long as the process lives. May be called from any thread.
    """

    def __init__(self) -> None:
        self._values: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def of(self, label: str, value: str) -> str:
        """The value to show: this one, or OTHER if the label had enough values before it."""
        with self._lock:
            values = self._values[label]
            if value not in values and len(values) < MOST_VALUES:
                values.add(value)
            return value if value in values else OTHER
