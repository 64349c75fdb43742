"""What several processes of a test run want to make in one folder is made once."""

import fcntl
import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from dev import debian
from dev.alone import alone

PROCESSES = 4


def make_once(home: Path, start: Barrier) -> None:
    """As the fixtures do: look, make beside, rename, with others at the same moment."""
    start.wait(timeout=30)
    with alone(home):
        if not (home / "made").exists():
            (home / "new").mkdir()
            with (home / "makers").open("a") as makers:
                makers.write("one\n")
            (home / "new").rename(home / "made")


def test_processes_that_want_the_same_folder_make_it_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    start = fork.Barrier(PROCESSES)
    each = [fork.Process(target=make_once, args=(tmp_path, start)) for _ in range(PROCESSES)]
    for process in each:
        process.start()
    for process in each:
        process.join(timeout=60)
    assert [process.exitcode for process in each] == [0] * PROCESSES
    assert (tmp_path / "makers").read_text() == "one\n"


def test_packages_are_looked_for_and_unpacked_by_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two unpacked PgBouncer at the same moment: the second found the first's folder there."""

    def download(home: Path, packages: tuple[str, ...]) -> None:
        with (home / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(debian, "_download", download)
    monkeypatch.setattr(debian, "_extract", lambda _, folder: folder.mkdir())
    assert debian.unpack(tmp_path, "pgbouncer") == tmp_path / "root"
