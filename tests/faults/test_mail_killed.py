"""The worker killed around a mail, and answers that get lost: once is once, again has one id."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.mails import arrived, mailing, submit, wait_for_end
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.support.wait import wait_for


@pytest.fixture(autouse=True)
def mail(line: Line) -> Iterator[None]:
    """The service, with a mail server."""
    with mailing(line):
        yield


def assert_a_person_decides(line: Line, mail: Any, times: int) -> None:
    """Its dead letter says that nobody knows; a replay sends the mail once more."""
    assert mail["state"] == "uncertain"
    assert arrived(line, mail) == times <= 1
    [letter] = line.get("/v1/dead-letters?kind=email.send_once&open=true")["dead_letters"]
    assert letter["reason"] == "uncertain"
    line.post(f"/v1/dead-letters/{letter['id']}/replay", {})
    wait_for("it is sent", lambda: line.get(mail["links"]["self"])["state"] == "sent")
    assert arrived(line, mail) == times + 1


@points([*moments.MAILING, *moments.MAILING_ONCE])
def test_once_as_the_worker_dies(moment: Moment, line: Line) -> None:
    line.start("relay")
    mail = submit(line, "stop")
    assert has_crashed(line.start_doomed(moment, "worker"))
    times = arrived(line, mail)
    line.start("worker")
    mail = wait_for_end(line, mail)
    if mail["state"] == "sent":
        assert arrived(line, mail) == 1
    else:
        assert_a_person_decides(line, mail, times)


@points(moments.MAIL_UNCERTAIN)
def test_once_as_the_worker_dies_with_a_lost_answer(moment: Moment, line: Line) -> None:
    line.inbox.hangs_up = True
    line.start("relay")
    mail = submit(line, "stop")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.inbox.hangs_up = False
    line.start("worker")
    assert_a_person_decides(line, wait_for_end(line, mail), 1)


@points([*moments.MAILING, *moments.MAIL_UNCERTAIN])
def test_again_as_the_worker_dies(moment: Moment, line: Line) -> None:
    line.inbox.hangs_up = moment in moments.MAIL_UNCERTAIN
    line.start("relay")
    mail = submit(line, "again")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.inbox.hangs_up = False
    line.start("worker")
    assert wait_for_end(line, mail)["state"] == "sent"
    assert 1 <= arrived(line, mail) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(("when_uncertain", "times"), [("again", 2), ("stop", 1)])
def test_an_answer_that_is_always_lost(line: Line, when_uncertain: str, times: int) -> None:
    line.inbox.hangs_up = True
    line.start("relay", "worker")
    mail = submit(line, when_uncertain)
    assert wait_for_end(line, mail)["state"] == "uncertain"
    assert arrived(line, mail) == times
    [found] = line.get("/v1/emails?state=uncertain")["emails"]
    assert found["id"] == mail["id"]
