"""Limits of keys by command."""

import psycopg

from tests.integration.cli.conftest import Duly

RECORD = "SELECT act, who, why, about FROM duly.acts WHERE act LIKE 'limit-%' ORDER BY id"


def test_a_limit_is_set_listed_and_cleared(duly: Duly, sql_now: psycopg.Connection) -> None:
    options = ("--at-most", "2", "--rate", "10/1m", "--burst", "3", "--by", "ann", "--why", "slow")
    done = duly("limits", "set", "endpoint:7", *options)
    assert done.stderr == "duly: set the limit of endpoint:7\n"
    (row,) = (line for line in duly("limits", "list").stdout.splitlines() if "endpoint:7" in line)
    rate, counts = ["10/60s,", "burst", "3"], ["0"] * 4
    assert row.split() == ["endpoint:7", "2", *rate, *counts, "-", "ann", "slow"]
    (listed,) = duly.json("limits", "list")
    assert listed["rate"] == {"permits": 10, "per_seconds": 60.0, "burst": 3}
    assert (listed["set"]["who"], listed["set"]["why"]) == ("ann", "slow")
    done = duly("limits", "clear", "endpoint:7", "--by", "bob")
    assert done.stderr == "duly: cleared the limit of endpoint:7\n"
    assert sql_now.execute(RECORD).fetchall() == [
        ("limit-set", "ann", "slow", ["limit:endpoint:7"]),
        ("limit-clear", "bob", None, ["limit:endpoint:7"]),
    ]
    refused = duly("limits", "set", "a", "--rate", "10/52w")
    assert (refused.returncode, refused.stderr) == (2, "duly: rate: per is not 1 ms to 31 days\n")
