"""The memory of a process."""

from pathlib import Path


def megabytes(pid: int) -> float:
    """The most that the process has taken so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
