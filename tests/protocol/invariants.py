"""What holds of a job at every moment, and between any two moments."""

from tests.protocol.facts import TERMINAL, Facts


def check(job: Facts) -> None:
    """Raises AssertionError where the job is in no valid state."""
    for holds in (
        _is_in_one_state,
        _runs_not_before_its_time,
        _has_had_its_effect_exactly_if_it_succeeded,
        _has_every_failed_attempt_on_record,
        _can_be_found_by_a_relay_while_it_waits,
        _has_a_letter_for_its_last_dispatch_exactly_if_it_is_dead,
    ):
        holds(job)


def check_step(before: Facts, after: Facts) -> None:
    """Raises AssertionError where history was rewritten between the two."""
    assert after.dispatch >= before.dispatch
    assert after.attempts[: len(before.attempts)] == before.attempts
    assert after.letters[: len(before.letters)] == before.letters
    for old, new in zip(before.resolutions, after.resolutions, strict=False):
        assert old in ("open", new)
    if before.has_ended and not _was_replayed(before, after):
        assert _end(before) == _end(after)


def _is_in_one_state(job: Facts) -> None:
    assert job.state in ("queued", "running", *TERMINAL)
    assert (job.finished_at is not None) == job.has_ended
    assert job.state not in ("queued", "dead") or not job.cancel_requested
    assert 0 <= job.attempt <= job.attempt_limit


def _runs_not_before_its_time(job: Facts) -> None:
    if job.state == "running":
        assert job.worker
        assert job.started_at
        assert job.started_at >= job.run_at


def _has_had_its_effect_exactly_if_it_succeeded(job: Facts) -> None:
    assert job.effects == (job.state == "succeeded")


def _has_every_failed_attempt_on_record(job: Facts) -> None:
    failed = job.attempt - (job.state in ("running", "succeeded"))
    was_stopped = job.state == "cancelled" and len(job.attempts) == failed - 1
    assert job.attempts == list(range(1, failed + 1 - was_stopped))


def _can_be_found_by_a_relay_while_it_waits(job: Facts) -> None:
    """By its event, or by REDISPATCH_LOST; it does not matter what the broker holds."""
    assert job.event is None or job.event <= job.dispatch
    if job.state == "queued":
        assert job.dispatch in (job.event, *job.published)


def _has_a_letter_for_its_last_dispatch_exactly_if_it_is_dead(job: Facts) -> None:
    earlier = job.resolutions[:-1] if job.state == "dead" else job.resolutions
    assert set(earlier) <= {"replayed"}
    assert len(set(job.letters)) == len(job.letters)
    if job.state == "dead":
        assert job.letters[-1] == job.dispatch
        assert job.resolutions[-1] in ("open", "discarded")
    else:
        assert job.dispatch not in job.letters


def _was_replayed(before: Facts, after: Facts) -> bool:
    last = len(before.letters) - 1
    return before.state == "dead" and after.resolutions[last] == "replayed"


def _end(job: Facts) -> tuple[object, ...]:
    return job.state, job.dispatch, job.attempt, job.finished_at
