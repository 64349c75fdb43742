"""All processes behind a pooler in transaction mode, on a database with odd settings."""

from collections.abc import Callable

from tests.acceptance import test_whole_line
from tests.support.servers.odd_settings import make_odd
from tests.support.service.line import Line


def test_the_whole_line_works_through_a_pooler(
    line: Line, pooler: Callable[[str], str], database_url: str, app_database_url: str
) -> None:
    make_odd(database_url)
    line.environment["DATABASE_URL"] = pooler(app_database_url)
    test_whole_line.test_a_posted_invoice_is_drawn_mailed_and_announced(line)
    assert line.get("/readyz")["status"] == "ready"
