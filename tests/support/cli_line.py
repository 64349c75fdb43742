"""Parses a line that somebody would type, with the parser of `duly` itself."""

import re
import shlex

import typer

from outbox.cli.main import commands

COMMAND = re.compile(r"(?:^|: )((?:duly|rabbitmqctl|rabbitmq-plugins) .*)$")


def commands_of(change: str | None) -> list[str]:
    """The commands that a finding's change names: each ends a step."""
    found = (COMMAND.search(step) for step in (change or "").split("; "))
    return [each[1] for each in found if each]


def parse(line: str) -> None:
    """Raises a usage error if `duly` would not take the line. Runs nothing."""
    command, (_, *words) = typer.main.get_command(commands()), shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(line, words)
