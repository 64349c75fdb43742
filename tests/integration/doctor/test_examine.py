"""How checks run: each gives one finding, whatever becomes of it or of the others."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from dev.ports import free_port
from outbox import Job, Kind, Kinds, actor
from outbox.actors import Actors
from outbox.doctor import Check, Finding, Found, Level, Setup, Skip, examine, ok
from outbox.doctor.catalog import CHECKS
from outbox.doctor.check import Group
from outbox.doctor.examine import examine_with
from tests.integration.doctor.conftest import Nothing, find, setup_for
from tests.support.network.deaf import deaf_server


def _raise(error: Exception, _: Setup) -> Found:
    raise error


def _well(_: Setup) -> Found:
    return ok("well")


def _by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {each.check: each for each in findings}


def test_there_is_one_finding_for_each_check_in_the_order_of_the_catalog(setup: Setup) -> None:
    found = examine(replace(setup, checks=[Check("shop", "The shop answers.", _well)]))
    assert [each.check for each in found] == [*(each.name for each in CHECKS), "shop"]
    assert found[-1] == Finding("shop", Level.OK, "well", None, "docs/doctor.md#checks-of-your-own")


def test_a_check_that_raises_or_skips_hides_no_other(setup: Setup) -> None:
    checks = [
        Check("wrong", "", partial(_raise, ZeroDivisionError())),
        Check("away", "", partial(_raise, OSError("no route to smtp://anna:hunter2@mail"))),
        Check("blind", "", partial(_raise, Skip("it is dark"))),
        Check("well", "", _well),
    ]
    found = _by_name(examine(replace(setup, checks=checks)))
    shown = [(found[each.name].level, found[each.name].found) for each in checks]
    assert shown == [
        (Level.ERROR, "ZeroDivisionError"),
        (Level.ERROR, "no route to smtp://[redacted]@mail"),
        (Level.SKIPPED, "it is dark"),
        (Level.OK, "well"),
    ]


def test_a_check_that_hangs_is_given_up(setup: Setup) -> None:
    end = threading.Event()

    def hang(_: Setup) -> Found:
        end.wait()
        return ok("late")

    checks = [Check("slow", "", hang, seconds=0.1), Check("well", "", _well)]
    slow, well = examine_with(checks, setup)
    end.set()
    assert (slow.level, slow.found) == (Level.ERROR, "it did not end within 0.1 s")
    assert well.level is Level.OK


def test_without_servers_the_rest_is_skipped_and_the_apps_own_checks_run(queue: str) -> None:
    port = free_port()
    setup = setup_for(f"postgresql://127.0.0.1:{port}/d", f"amqp://127.0.0.1:{port}", queue)
    found = examine(replace(setup, checks=[Check("well", "", _well)]))
    levels = {each.check: each.level for each in found}
    assert levels.pop("well") is Level.OK
    assert levels.pop("postgres") is levels.pop("rabbitmq") is Level.ERROR
    app = {each.name for each in CHECKS if each.group is Group.APP}
    assert {level for name, level in levels.items() if name not in app} == {Level.SKIPPED}


def test_servers_that_never_answer_are_given_up(queue: str) -> None:
    with deaf_server() as port:
        setup = setup_for(f"postgresql://127.0.0.1:{port}/d", f"amqp://127.0.0.1:{port}", queue)
        found = _by_name(examine(setup))
    assert found["postgres"].level is found["rabbitmq"].level is Level.ERROR


def test_no_secret_of_the_settings_is_shown(setup: Setup) -> None:
    secrets = {
        "smtp_url": "smtp://anna:hunter%40two@mail",
        "stripe_key": "sk_live_1",
        "stripe_webhook_secrets": "whsec_abcdefgh",
    }
    given = setup.settings.model_dump(by_alias=True) | secrets
    settings = type(setup.settings).model_validate(given)
    text = "hunter%40two hunter@two sk_live_1 whsec_abcdefgh password='x y' postgresql://u:p@h/d"
    checks = [Check("talks", "", partial(_raise, ValueError(text)))]
    (found,) = examine_with(checks, replace(setup, settings=settings))
    assert found.found.replace("[redacted]", "").split() == ["password=", "postgresql://@h/d"]


@pytest.mark.parametrize("login", ["guest:guest", "anna:duly"])
def test_a_password_that_is_also_a_name_hides_no_names_and_is_not_told(
    setup: Setup, login: str
) -> None:
    settings = setup.settings.model_copy(update={"amqp_url": f"amqp://{login}@127.0.0.1/"})
    text = f"duly migrate --grant-to guest; amqp://{login}@127.0.0.1/"
    checks = [Check("talks", "", partial(_raise, ValueError(text)))]
    (found,) = examine_with(checks, replace(setup, settings=settings))
    assert found.found == "duly migrate --grant-to guest; amqp://[redacted]@127.0.0.1/"


DO = Kind("doctor.do", Nothing)


@actor(DO)
def do(_: Nothing, job: Job) -> None:
    """Nothing."""


def _actors_cannot_be_imported() -> Actors:
    raise ImportError("No module named 'shop'")


@pytest.mark.parametrize(
    ("kinds", "actors", "level", "text"),
    [
        (Kinds(DO), lambda: Actors([do]), Level.OK, "1 kinds"),
        (Kinds(DO), lambda: Actors([]), Level.ERROR, "these kinds have no actor: doctor.do"),
        (Kinds(), lambda: Actors([do]), Level.WARNING, "doctor.do"),
        (Kinds(DO), _actors_cannot_be_imported, Level.ERROR, "No module named 'shop'"),
        (Kinds(DO), None, Level.SKIPPED, "run `duly doctor`"),
    ],
)
def test_kinds_and_actors_that_do_not_fit(
    setup: Setup, kinds: Kinds, actors: Callable[[], Actors] | None, level: Level, text: str
) -> None:
    found = find("actors", replace(setup, kinds=kinds, actors=actors))
    assert found.level is level
    assert text in found.found


def test_a_python_that_is_too_old(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outbox.doctor.checks.app.OLDEST", (99, 0))
    found = find("python", setup)
    assert (found.level, found.change) == (Level.ERROR, "install Python 99.0 or newer")
