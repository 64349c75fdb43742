"""Loads the app that the commands work for."""

import os
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

from outbox.app import Duly
from outbox.cli.errors import Code, Stop
from outbox.kinds import Kinds
from outbox.settings import Settings

VARIABLE = "DULY_APP"
HINT = f'name it as module:name in {VARIABLE}, or in pyproject.toml as [tool.duly] app = "..."'


@cache
def app() -> Duly:
    """The app that DULY_APP names, or else `[tool.duly]` in the nearest pyproject.toml.

    Its module is looked for first in the folder of that pyproject.toml; without one, in the working
    folder. Raises Stop.
    """
    folder, configured = _project()
    reference = os.environ.get(VARIABLE) or configured
    sys.path.insert(0, str(folder))
    if not reference:
        raise Stop(f"no app is configured: {HINT}", Code.USAGE)
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Stop(f"cannot load the app {reference}: {error}", Code.USAGE) from None
    if not isinstance(found, Duly):
        raise Stop(f"the app {reference} is not an outbox.Duly", Code.USAGE)
    return found


def kinds() -> Kinds:
    """The app's kinds. Raises Stop."""
    return app().kinds


def settings() -> Settings:
    """The app's settings. Raises Stop, and pydantic.ValidationError if a setting is invalid."""
    return app().settings()


def amqp_url() -> str:
    """Where RabbitMQ is, for a command that needs it. Raises as `settings`, and Stop if not set."""
    if found := settings().amqp_url:
        return found
    raise Stop("setting AMQP_URL: Field required", Code.USAGE)


def _project() -> tuple[Path, str | None]:
    """The project's folder, and the app that its pyproject.toml names."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            found = tomllib.loads(file.read_text()).get("tool", {}).get("duly", {}).get("app")
            return folder, found if isinstance(found, str) else None
    return here, None
