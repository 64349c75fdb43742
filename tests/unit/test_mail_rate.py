"""The mail server's rate, as a setting says it."""

from datetime import timedelta

import pytest

from outbox import Rate
from service.mail import rate
from service.settings import Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100/1m", Rate(100, per=timedelta(minutes=1))),
        ("10/s", Rate(10, per=timedelta(seconds=1))),
        ("5000/24h", Rate(5000, per=timedelta(hours=24))),
    ],
)
def test_all_mails_share_the_rate(text: str, expected: Rate) -> None:
    key = rate.server_key(text)
    assert key
    assert (key.rate, key.of(object())) == (expected, "mail-server")


@pytest.mark.parametrize(
    "text", ["", "100", "100/1", "100/1d", "0/1m", "-1/1m", "1/0m", "\uff19/1m"]
)
def test_what_is_no_rate_makes_no_key_and_stops_the_process(text: str) -> None:
    assert rate.server_key(text) is None
    with pytest.raises(ValueError, match="mail_rate"):
        Settings.model_validate({"DATABASE_URL": "postgresql://u@h/d", "mail_rate": text})
