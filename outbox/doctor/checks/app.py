"""Checks of the app itself, without any server."""

import sys

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.setup import Setup

GROUP = Group.APP
OLDEST = (3, 11)
"""As pyproject.toml says."""
IMPORT_SECONDS = 60.0
"""How long the first import of an app's actors may take."""


@check(GROUP, f"Python is version {'.'.join(map(str, OLDEST))} or newer.")
def python(_: Setup) -> Found:
    """Of the process that looks."""
    version = sys.version.split()[0]
    if sys.version_info[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return error(f"Python is version {version}", f"install Python {oldest} or newer")
    return ok(f"Python {version}")


@check(GROUP, "Each kind has an actor, and each actor a kind.", seconds=IMPORT_SECONDS)
def actors(setup: Setup) -> Found:
    """A kind without an actor can be submitted, and no worker will run it."""
    if setup.actors is None:
        raise Skip("this process does not import the actors: run `duly doctor`")
    try:
        found = setup.actors()
    except (ImportError, AttributeError, TypeError) as problem:
        return error(
            f"the actors cannot be imported: {problem}", "Duly(actors=...), or DULY_ACTORS"
        )
    without = sorted(setup.kinds.keys() - found.keys())
    if without:
        return error(
            f"these kinds have no actor: {', '.join(without)}",
            "declare an @actor(KIND) for each, and list it in Actors([...])",
        )
    unknown = sorted(found.keys() - setup.kinds.keys())
    if unknown:
        return warning(
            f"these actors are of kinds that the app does not list: {', '.join(unknown)}",
            "list their kinds in Duly(kinds=...)",
        )
    return ok(f"{len(found)} kinds")
