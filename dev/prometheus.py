"""Prometheus and promtool, from a later Debian, beside what is installed."""

from pathlib import Path

from dev import debian


def promtool(home: Path) -> list[str]:
    """The command that checks rules; unpacked when first asked for."""
    return debian.command(home, "prometheus", "bin/promtool")
