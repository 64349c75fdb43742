"""Checks whether Duly is set up well here, and names the line to change.

`duly doctor` and `/readyz?full` show what it finds. An app adds checks of its own:

    def smtp_answers(setup: Setup) -> Found: ...

    duly = Duly(..., checks=[Check("smtp", "The mail server answers.", smtp_answers)])

Reading order: found, steps, setup, check, servers, checks, catalog, timed, passwords, examine.
"""

from outbox.doctor.check import Check
from outbox.doctor.examine import examine
from outbox.doctor.found import Finding, Found, Level, Skip, error, ok, warning
from outbox.doctor.setup import Setup

__all__ = [
    "Check",
    "Finding",
    "Found",
    "Level",
    "Setup",
    "Skip",
    "error",
    "examine",
    "ok",
    "warning",
]
