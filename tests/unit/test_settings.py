"""What settings are read as."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from service.cli.errors import explain
from service.settings import Settings


def keep_finished(monkeypatch: pytest.MonkeyPatch, given: str) -> timedelta | None:
    """The setting read from such an environment."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost")
    monkeypatch.setenv("AMQP_URL", "amqp://localhost")
    monkeypatch.setenv("DULY_KEEP_FINISHED", given)
    return Settings().keep_finished


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("P7D", timedelta(days=7)),
        ("3600", timedelta(hours=1)),
        ("0", timedelta()),
        ("forever", None),
    ],
)
def test_finished_jobs_are_kept_for_a_duration_or_for_ever(
    monkeypatch: pytest.MonkeyPatch, given: str, read: timedelta | None
) -> None:
    assert keep_finished(monkeypatch, given) == read


@pytest.mark.parametrize(
    "given",
    [
        "",
        "?",
        "mysql://there/db",
        "postgresql+psycopg://me:hunter2@there/db",
        "postgresql://me:hunter2%zz@there/db",
        "postgresql://me:hunter 2@there/db",
        "password=hunter2 no_such_option=1",
    ],
)
def test_what_libpq_cannot_read_as_an_address_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    monkeypatch.setenv("AMQP_URL", "amqp://localhost")
    with pytest.raises(ValidationError) as refused:
        Settings()
    said = str(explain(refused.value))
    assert said.startswith("setting DATABASE_URL: ")
    assert "hunter" not in said


@pytest.mark.parametrize("given", ["-P1D", "P51Y", "never", ""])
def test_what_is_no_time_to_keep_something_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    with pytest.raises(ValidationError, match="keep_finished"):
        keep_finished(monkeypatch, given)
