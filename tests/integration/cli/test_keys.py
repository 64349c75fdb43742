"""`duly keys` on a real database."""

from sqlalchemy.orm import Session

from outbox.operations import api_keys
from tests.integration.cli.conftest import Duly


def test_a_created_key_works_until_it_is_revoked(duly: Duly, session: Session) -> None:
    options = ("--name", "shop", "--scopes", "submit,read", "--expires", "90d")
    key = duly("keys", "create", *options).stdout.strip()
    caller = api_keys.identify(session, key)
    assert caller
    assert (caller.name, sorted(caller.scopes)) == ("shop", ["read", "submit"])
    (listed,) = duly.json("keys", "list")
    assert listed["prefix"] == caller.prefix
    assert listed["expires_at"]
    assert listed["last_seen_at"] is None
    api_keys.note_use(session, caller.prefix)
    session.commit()
    assert duly.json("keys", "list")[0]["last_seen_at"]
    assert duly("keys", "revoke", caller.prefix).returncode == 0
    session.rollback()
    assert api_keys.identify(session, key) is None
    assert duly("keys", "revoke", caller.prefix).returncode == 3


def test_an_unknown_scope_is_refused(duly: Duly) -> None:
    done = duly("keys", "create", "--name", "shop", "--scopes", "submit,everything")
    assert (done.returncode, done.stdout) == (2, "")
