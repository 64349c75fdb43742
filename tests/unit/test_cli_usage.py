"""What `duly` says of itself: its version, help, usage errors and completions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "outbox.cli"]
ROOT = Path(__file__).parents[2]
NARROW = os.environ | {"COLUMNS": "80"}


def _duly(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=NARROW | variables, capture_output=True, text=True, cwd=ROOT
    )


def test_the_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    installed = tmp_path / "duly-9.8.7.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.4\nName: duly\nVersion: 9.8.7\n")
    done = _duly("--version", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "duly 9.8.7\n", "")


USAGE_ERRORS = {
    ("nope",): ("no such command 'nope'", "duly"),
    ("jobs", "list", "--zzz"): ("no such option: --zzz", "duly jobs list"),
    ("jobs", "submit"): ("missing argument 'KIND'", "duly jobs submit"),
    ("jobs", "submit", "email.send"): ("missing option '--payload'", "duly jobs submit"),
    ("dlq", "list", "--since", "2x"): (
        "invalid value for '--since': '2x' is not a duration such as 15m, 2h or 3d",
        "duly dlq list",
    ),
    ("dlq", "replay", "0"): (
        "invalid value for 'ID': '0' is not an id such as 17",
        "duly dlq replay",
    ),
    ("dlq", "show", "9" * 30): (
        f"invalid value for 'ID': '{'9' * 30}' is not an id such as 17",
        "duly dlq show",
    ),
    ("jobs", "submit", "email.send", "--payload", "-", "--priority", "odd"): (
        "invalid value for '--priority': 'odd' is not one of 'high', 'normal', 'low'",
        "duly jobs submit",
    ),
}


@pytest.mark.parametrize("arguments", USAGE_ERRORS)
def test_a_usage_error_is_one_line_and_where_help_is(arguments: tuple[str, ...]) -> None:
    wrong, command = USAGE_ERRORS[arguments]
    done = _duly(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"duly: {wrong}\nduly: try {command} --help\n"


def test_a_group_without_a_command_shows_its_help() -> None:
    done = _duly("jobs")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: duly jobs [OPTIONS] COMMAND")


@pytest.mark.parametrize("command", ["", "dlq replay", "jobs list", "jobs submit", "worker"])
def test_help_fits_80_columns_and_shows_flags_as_flags(command: str) -> None:
    done = _duly(*command.split(), "--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "<bool>" not in done.stdout


COMPLETIONS = {
    "duly jo": {"jobs"},
    "duly jobs wat": {"watch"},
    "duly jobs list --su": {"--subject"},
    "duly jobs list --state su": {"succeeded"},
    "duly wor": {"worker"},
    "duly worker --th": {"--threads"},
    "duly migrate --gr": {"--grant-to"},
}


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completions that bash reads, beside a command `duly`."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "duly").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    (folder / "duly").chmod(0o755)
    shown = _duly("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert shown.returncode == 0, shown.stderr
    (folder / "completion.sh").write_text(shown.stdout)
    return folder / "completion.sh"


@pytest.mark.parametrize("line", COMPLETIONS)
def test_bash_completes_commands_options_and_values(line: str, script: Path) -> None:
    words = line.split()
    ask = f"""
        source {script}
        COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}
        _duly_completion duly
        echo "${{COMPREPLY[*]}}"
    """
    path = f"{script.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ask], env=NARROW | {"PATH": path}, capture_output=True, text=True, cwd=ROOT
    )
    assert (set(done.stdout.split()), done.stderr) == (COMPLETIONS[line], "")
