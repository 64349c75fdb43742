"""promtool, and a folder for its files."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dev import memory, prometheus
from dev.private import home

PROMTOOL_SECONDS = 60

Promtool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: promtool writes its series to the disk, and waits for it, for each case."""
    where = memory.MEMORY if memory.MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="duly-promtool-", dir=where) as folder:
        yield Path(folder)


@pytest.fixture
def promtool(folder: Path) -> Promtool:
    """Runs promtool on files of the folder."""
    command = prometheus.promtool(home() / "prometheus")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env={"TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=PROMTOOL_SECONDS,
            check=False,
        )

    return run
