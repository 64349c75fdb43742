"""`make compare` in a small form: what it says of each system is what is known of that."""

from pathlib import Path

import pytest

from dev.servers import Servers
from tests.compare import report
from tests.compare.contenders import ALL
from tests.compare.run import is_wrong, run

ASKED = ("rollback", "gap", "worker", "error")
NAMES = ("BackgroundTask", "Celery, defaults", "Duly")


@pytest.mark.slow
def test_it_sees_what_is_lost_and_what_is_done(
    servers: Servers, empty_database_url: str, tmp_path: Path
) -> None:
    contenders = [each for each in ALL if each.name in NAMES]
    seen = run(contenders, ASKED, Servers(empty_database_url, servers.amqp_url, ""), tmp_path)

    wrong = {
        contender.name: [name for name, answer in answers.items() if answer.is_wrong]
        for contender, answers in seen.items()
    }
    assert wrong == {
        "BackgroundTask": ["gap", "worker", "error"],
        "Celery, defaults": ["rollback", "gap", "worker", "error"],
        "Duly": [],
    }
    assert not is_wrong(seen)
    header, _, *lines = report.markdown(seen).split("\n\n")[0].splitlines()
    assert header == "|  | BackgroundTask | Celery, defaults | Duly |"
    assert len(lines) == len(ASKED)
