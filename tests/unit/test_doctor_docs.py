"""docs/doctor.md has all checks, and each finding leads to a page."""

import pytest

from dev.checks_table import written
from dev.say import CHECKOUT
from outbox.doctor.catalog import CHECKS
from outbox.doctor.check import Check
from tests.unit.test_docs import anchors

PAGE = CHECKOUT / "docs" / "doctor.md"


def test_the_table_of_checks_is_that_of_the_code() -> None:
    assert PAGE.read_text() == written(PAGE.read_text())


def test_no_two_checks_have_the_same_name() -> None:
    names = [each.name for each in CHECKS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("each", CHECKS, ids=lambda each: each.name)
def test_each_check_names_a_page_and_its_heading(each: Check) -> None:
    page, _, heading = each.docs.partition("#")
    assert f"#{heading}" in anchors((CHECKOUT / page).read_text())
