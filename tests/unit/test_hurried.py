"""The rules in which minutes are seconds are the shipped ones, but for their times."""

import re

from outbox import monitoring
from tests.support.monitoring.hurried import hurried


def test_durations_and_limits_of_ages_are_a_sixtieth() -> None:
    rule = "expr: max(a_seconds) > 900 and increase(b[15m]) > 5 or c offset 15m\nfor: 2m"
    faster = "expr: max(a_seconds) > 15 and increase(b[15s]) > 5 or c offset 15s\nfor: 2s"
    assert hurried(rule) == faster
    rule = "max(a_seconds > 0) > 120 and time() - b_seconds < 900"
    assert hurried(rule) == "max(a_seconds > 0) > 2 and time() - b_seconds < 15"
    assert hurried("[1h]\nfor: 1h") == "[60s]\nfor: 60s"


def test_each_rule_is_hurried() -> None:
    slow, fast = monitoring.alerts(), hurried(monitoring.alerts())
    lasting = re.findall(r"for: \d+\w", slow)
    assert lasting
    assert [each for each in lasting if f"{each}\n" in fast] == []
