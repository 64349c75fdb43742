"""The questions: each breaks something, and says what became of an order's receipt."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.compare import person
from tests.compare.stage import Stage

ALWAYS = 1_000_000
GRACE_SECONDS = 2
"""Between SIGTERM and SIGKILL, in place of the usual 10 to 30."""
HANG_SECONDS = 12
QUIET_SECONDS = 8
"""Longer than any pause between two tries."""


@dataclass(frozen=True)
class Answer:
    """What was seen."""

    text: str
    """With `{}` for what became of the order, if that may still change."""
    is_wrong: bool = False
    """Whether a receipt is missing, or there are too many."""
    order: int | None = None


def roll_back(stage: Stage) -> Answer:
    """The order is refused after its task was added or sent."""
    order = stage.new_order()
    status = stage.place(order, "/orders/checked", is_fraud=True)
    stage.settle()
    if not stage.outside.given[order]:
        return Answer(f"{status}, no order, no receipt")
    return Answer(f"{status}, no order, **a receipt all the same**", is_wrong=True)


def die_between(stage: Stage) -> Answer:
    """The API dies after the commit and before its next statement."""
    order = stage.new_order()
    stage.place_and_die(order)
    assert stage.is_kept(order)
    return _fate(stage, order)


def die_after_answer(stage: Stage) -> Answer:
    """The API dies as soon as the client has its 2xx; a receipt takes a second."""
    order = stage.new_order(seconds=1)
    status = stage.place(order)
    stage.kill("api")
    return _fate(stage, order, f"{status}, ")


def die_in_the_middle(stage: Stage) -> Answer:
    """The process that does the task dies before the receipt is given."""
    order = stage.new_order(seconds=2)
    stage.place(order)
    stage.begins(order)
    stage.kill(stage.contender.works_in)
    return _fate(stage, order)


def die_before_the_record(stage: Stage) -> Answer:
    """It dies when the receipt is given, and does not know that yet."""
    order = stage.new_order(keeps_silent=1)
    stage.place(order)
    stage.wait(lambda: stage.outside.given[order], GRACE_SECONDS * 30)
    stage.kill(stage.contender.works_in)
    stage.settle()
    stage.wait(lambda: len(stage.outside.asked[order]) > 1, QUIET_SECONDS)
    asked = len(stage.outside.asked[order])
    return _fate(stage, order, after=f", asked for {asked} times by one key" if asked > 1 else "")


def lose_the_broker(stage: Stage) -> Answer:
    """RabbitMQ cannot be reached when the order comes, and can again afterwards."""
    order = stage.new_order()
    stage.broker.refuse()
    status = stage.place(order)
    stage.broker.admit()
    return _fate(stage, order, f"{status}, ")


def fail_once(stage: Stage) -> Answer:
    """The task raises an error the first time."""
    order, logs = stage.new_order(failures=1), person.Logs(stage)
    stage.place(order)
    stage.ends(order)
    asked = stage.outside.asked[order]
    again = f"tried again after {asked[1] - asked[0]:.1f} s" if asked[1:] else "not tried again"
    return _fate(stage, order, f"{again}, ", f"; error {person.error_of(stage, order, logs)}")


def hang(stage: Stage) -> Answer:
    """The receipt is not given and not refused; the client waits, without a timeout."""
    order = stage.new_order(hangs=1)
    stage.place(order)
    stage.begins(order)
    if stage.wait(lambda: bool(stage.outside.hung_up[order]), HANG_SECONDS):
        ran = stage.outside.hung_up[order][0] - stage.outside.asked[order][0]
        return _fate(stage, order, f"stopped after {ran:.0f} s, ")
    stage.kill(stage.contender.works_in)  # somebody has to
    stage.settle()
    return Answer(f"nobody stopped it in {HANG_SECONDS} s", is_wrong=True)


def deploy(stage: Stage) -> Answer:
    """What does the task gets SIGTERM, and SIGKILL when the task outlasts the grace."""
    order = stage.new_order(seconds=2 * GRACE_SECONDS)
    stage.place(order)
    stage.begins(order)
    stage.deploy(stage.contender.works_in, GRACE_SECONDS)
    return _fate(stage, order)


def fail_for_good(stage: Stage) -> Answer:
    """It fails whenever it is tried. Then the cause is mended, and a person looks for it."""
    order, logs = stage.new_order(failures=ALWAYS), person.Logs(stage)
    stage.place(order)
    stage.begins(order)
    tries = _tries(stage, order)
    stage.outside.manners[order].failures = 0
    found = person.find_dead(stage, order, logs)
    before = f"{tries} {'try' if tries == 1 else 'tries'}, then {found.where}: "
    command = person.replay(stage, order)
    if found.is_kept and not command:
        return Answer(f"{before}it stays there")
    return _fate(stage, order, before + command)


def _tries(stage: Stage, order: int) -> int:
    """How often it was tried, once it is no more."""
    tries = 0
    while (now := len(stage.outside.asked[order])) > tries:
        tries = now
        stage.wait(lambda: len(stage.outside.asked[order]) > tries, QUIET_SECONDS)  # noqa: B023
    return tries


def _fate(stage: Stage, order: int, before: str = "", after: str = "") -> Answer:
    """What becomes of an order that was taken: its receipt may come late."""
    if not stage.is_kept(order):
        return Answer(f"{before}no order, no receipt{after}")
    stage.ends(order)
    return Answer(f"{before}{{}}{after}", order=order)


def conclude(stage: Stage, answer: Answer) -> Answer:
    """The answer as it is now."""
    if answer.order is None:
        return answer
    receipts = len(stage.outside.given[answer.order])
    fates = {0: "**lost**", 1: "done once"}
    fate = fates.get(receipts, f"**done {receipts} times**")
    return Answer(answer.text.format(fate), is_wrong=receipts != 1)


QUESTIONS: dict[str, tuple[str, Callable[[Stage], Answer]]] = {
    "rollback": ("The transaction is rolled back after the task was added", roll_back),
    "gap": ("`kill -9` of the API between the commit and what follows", die_between),
    "api": ("`kill -9` of the API right after its 2xx", die_after_answer),
    "worker": ("`kill -9` in the middle of the task", die_in_the_middle),
    "effect": ("`kill -9` after the effect, before that is recorded", die_before_the_record),
    "broker": ("RabbitMQ is away when the request comes", lose_the_broker),
    "error": ("The task raises an error once", fail_once),
    "hang": ("The task hangs", hang),
    "deploy": ("SIGTERM, and SIGKILL before the task has ended", deploy),
    "dead": ("It fails for good; the cause is mended", fail_for_good),
}
"""By name: as the table puts it, and what is done."""
