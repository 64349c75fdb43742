"""docs/reference.md names every command, option, exit code and setting."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import SecretStr

from outbox.cli.app import VARIABLE
from outbox.cli.errors import Code
from outbox.cli.main import commands
from service.settings import Settings

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from _commands(inner, f"{path} {name}")


COMMANDS = dict(_commands(typer.main.get_command(commands()), "duly"))


def _section(path: str) -> str:
    sections = REFERENCE.split("\n### `")
    return next((each for each in sections if each.startswith((f"{path}`", f"{path} "))), "")


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_its_options_are_in_the_reference(path: str) -> None:
    section = _section(path)
    assert section
    options = [name for parameter in COMMANDS[path].params for name in parameter.opts]
    assert [name for name in options if name.startswith("--") and f"`{name}" not in section] == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_reference_with_its_default(name: str) -> None:
    field = Settings.model_fields[name]
    variable = field.validation_alias or f"DULY_{name.upper()}"
    rows = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{variable}` | ")]
    assert len(rows) == 1
    assert rows[0].split(" | ")[1] == _shown(field.get_default(call_default_factory=True))


def test_the_variable_that_names_the_app_is_in_the_reference() -> None:
    assert f"| `{VARIABLE}` | none | " in REFERENCE


def _shown(default: object) -> str:
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case timedelta():
            return f"`{default.total_seconds():.0f}` seconds"
        case None | () | SecretStr():  # no secret has a default
            return "none"
        case str() | int():
            return f"`{default}`".replace(Path.home().as_uri(), "file:///home/you")
    return "needed"


def test_every_exit_code_is_in_the_reference() -> None:
    assert [code for code in Code if f"\n| {code.value} | " not in REFERENCE] == []


@pytest.mark.parametrize("name", sorted({path.split()[1] for path in COMMANDS}))
def test_help_of_all_commands_says_what_each_says_itself(name: str) -> None:
    """`duly --help` imports none of them."""
    there: Any = typer.main.get_command(commands())
    named: Any = typer.main.get_command(commands(""))
    assert list(named.commands) == list(there.commands)
    assert named.commands[name].help == there.commands[name].help


def test_help_of_all_commands_imports_none_of_them() -> None:
    code = "import sys, outbox.cli.main as c; c.commands(''); print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
