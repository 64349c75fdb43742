"""Checks of the API keys."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, ok, warning
from outbox.doctor.setup import Setup
from outbox.doctor.steps import duly, steps
from outbox.operations.api_keys import ApiKey, Scope, all_keys

SOON = timedelta(days=14)


@check(
    Group.POSTGRES,
    f"There is an API key, and none expires within {SOON.days} days.",
    docs="docs/security.md#keys-and-scopes",
)
def api_keys(setup: Setup) -> Found:
    """Keys that were revoked, or expired already, do not count."""
    now = datetime.now(UTC)
    valid = [each for each in _keys(setup) if _is_valid(each, now)]
    if not valid:
        return warning(
            "there is no valid API key, so nobody can call the API",
            duly("keys", "create", "--name", "ops", "--scopes", f"{Scope.READ},{Scope.OPERATE}"),
        )
    soon = [each for each in valid if each.expires_at and each.expires_at < now + SOON]
    if soon:
        names = ", ".join(
            f"{each.name} ({each.prefix}, {each.expires_at:%Y-%m-%d})" for each in soon
        )
        return warning(
            f"these expire soon: {names}",
            steps(*(step for each in soon for step in _replaced(each))),
        )
    return ok(f"{len(valid)} are valid")


def _replaced(key: ApiKey) -> tuple[str, ...]:
    return (
        duly("keys", "create", "--name", key.name, "--scopes", ",".join(key.scopes)),
        "give the new key to who uses the old one",
        duly("keys", "revoke", key.prefix),
    )


def _keys(setup: Setup) -> list[ApiKey]:
    with setup.postgres.connection() as connection, Session(connection) as session:
        return all_keys(session)


def _is_valid(key: ApiKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
