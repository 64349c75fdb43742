"""The app that the command line works for."""

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
    """The app that DULY_APP names, or `[tool.duly]` in the nearest pyproject.toml. Raises Stop.

    Modules are looked for in the working folder, or in that of pyproject.toml, first.
    """
    folder, configured = _configured()
    reference = os.environ.get(VARIABLE) or configured
    sys.path.insert(0, str(folder))
    if not reference:
        raise Stop(f"no app is named: {HINT}", Code.USAGE)
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Stop(f"the app {reference} cannot be loaded: {error}", Code.USAGE) from None
    if not isinstance(found, Duly):
        raise Stop(f"the app {reference} is no outbox.Duly", Code.USAGE)
    return found


def kinds() -> Kinds:
    """The app's kinds. Raises Stop."""
    return app().kinds


def settings() -> Settings:
    """The app's settings. Raises Stop, and pydantic.ValidationError where one is wrong."""
    return app().settings()


def _configured() -> tuple[Path, str | None]:
    """The project's folder, and the app that its pyproject.toml names."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            found = tomllib.loads(file.read_text()).get("tool", {}).get("duly", {}).get("app")
            return folder, found if isinstance(found, str) else None
    return here, None
