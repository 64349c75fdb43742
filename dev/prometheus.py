"""Prometheus and promtool, from a later Debian, beside what is installed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dev import debian

CONFIGURATION, RULES = "prometheus.yml", "alerts.yml"


def promtool(home: Path) -> list[str]:
    """The command that checks rules; unpacked when first asked for."""
    return debian.command(home, "prometheus", "bin/promtool")


def server(home: Path, folder: Path, port: int) -> list[str]:
    """The command that runs a server as the folder configures it; its data lies there too."""
    return [
        *debian.command(home, "prometheus", "bin/prometheus"),
        f"--config.file={folder / CONFIGURATION}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def configure(
    folder: Path,
    rules: str,
    targets: Mapping[str, Sequence[str]],
    *,
    every: str,
    keys: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Write what the server is told: the rules, and each job's addresses to scrape so often.

    `keys` are files with the API keys that open the metrics of a job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RULES).write_text(rules)
    configuration = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [RULES],
        "scrape_configs": [_job(name, each, keys.get(name)) for name, each in targets.items()],
    }
    (folder / CONFIGURATION).write_text(json.dumps(configuration, indent=2))  # JSON is YAML


def _job(name: str, targets: Sequence[str], key: Path | None) -> dict[str, Any]:
    job: dict[str, Any] = {"job_name": name, "static_configs": [{"targets": [*targets]}]}
    if key:
        job["authorization"] = {"credentials_file": str(key)}
    return job
