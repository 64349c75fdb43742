"""Who is silent, by what a rescuer has seen."""

from datetime import UTC, datetime, timedelta

from outbox.maintenance.failure_detector import FailureDetector

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_worker_is_silent_once_its_heartbeat_was_the_same_for_so_long() -> None:
    detector = FailureDetector(timedelta(seconds=3), poll_interval=1)
    said = []
    for _ in range(5):
        detector.look({"w1": LONG_AGO})
        said.append((detector.is_ready_to_judge, detector.silent))
    assert said == [(False, []), (False, []), (False, []), (True, ["w1"]), (True, ["w1"])]


def test_a_heartbeat_that_changes_is_a_sign_of_life_whatever_it_says() -> None:
    detector = FailureDetector(timedelta(seconds=3), poll_interval=1)
    for look in range(10):
        detector.look({"back": LONG_AGO - look * SECOND, "on": LONG_AGO + look * SECOND})
        assert detector.silent == []


def test_a_worker_that_was_heard_again_is_given_the_whole_time() -> None:
    detector = FailureDetector(timedelta(seconds=2), poll_interval=1)
    for beat in (0, 0, 0, 1, 1):
        detector.look({"w1": LONG_AGO + beat * SECOND})
    assert detector.silent == []
    detector.look({"w1": LONG_AGO + SECOND})
    assert detector.silent == ["w1"]


def test_a_worker_that_came_later_is_given_the_whole_time() -> None:
    detector = FailureDetector(timedelta(seconds=2), poll_interval=1)
    for _ in range(5):
        detector.look({})
    detector.look({"w1": LONG_AGO})
    detector.look({"w1": LONG_AGO})
    assert detector.silent == []
