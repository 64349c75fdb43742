"""Which files of the library a job passes: those in which a function is handed it, or its error."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

CHECKOUT = Path(__file__).parents[3]
LIBRARY = str(CHECKOUT / "outbox")
DEEPEST = 6
"""How deep in an argument it is looked for."""


class Trace:
    """Notes the files of functions that have the job's id, or its error, in an argument."""

    def __init__(self, job: UUID, error: BaseException | None) -> None:
        self._job = job
        self._forms = (str(job), job.hex)
        self._error = error
        self.is_on = True
        self.files: set[str] = set()
        """Relative to the checkout."""

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Do as `sys.setprofile` wants it."""
        name = frame.f_code.co_filename
        if self.is_on and event == "call" and name.startswith(LIBRARY):
            file = str(Path(name).relative_to(CHECKOUT))
            if file not in self.files and self._is_in(_arguments(frame)):
                self.files.add(file)

    def _is_in(self, value: Any, depth: int = 0) -> bool:
        if isinstance(value, str):
            return any(form in value for form in self._forms)
        if isinstance(value, bytes):
            return any(form.encode() in value for form in self._forms)
        if isinstance(value, UUID | BaseException):
            return value == self._job or value is self._error
        return depth < DEEPEST and any(self._is_in(each, depth + 1) for each in _parts(value))


def _arguments(frame: FrameType) -> list[Any]:
    """What the function was called with, apart from what its object has."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args and **kwargs
    names = [name for name in code.co_varnames[:count] if name not in ("self", "cls")]
    return [frame.f_locals[name] for name in names if name in frame.f_locals]


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, tuple | list | set | frozenset):
        return list(value)
    if is_dataclass(value):
        return [getattr(value, each.name, None) for each in fields(value)]
    return ()


@contextmanager
def tracing(job: UUID, error: BaseException | None = None) -> Iterator[Trace]:
    """Trace the threads that are started in the block.

    Not this one: pytest's timeout interrupts it, and a profiler that is interrupted may never end.
    """
    trace = Trace(job, error)
    threading.setprofile(trace)
    try:
        yield trace
    finally:
        threading.setprofile(None)
        trace.is_on = False
