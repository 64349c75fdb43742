"""Asks all systems the questions, side by side: they spend most of the time waiting."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from dev.say import say
from dev.servers import Servers
from outbox import migrations
from outbox.postgres.address import conninfo, sqlalchemy_url
from tests.compare.contenders import Contender
from tests.compare.outside import outside
from tests.compare.questions import QUESTIONS, Answer, conclude
from tests.compare.stage import Stage
from tests.support.network.proxy import before

ORDERS_OF_EACH = 1_000_000
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY)"
TWICE = "twice"
"""In place of a question: orders whose second receipt came after their question was answered."""

Seen = Mapping[Contender, Mapping[str, Answer]]
"""What was seen, by system and question."""


def run(
    contenders: Sequence[Contender], questions: Sequence[str], servers: Servers, folder: Path
) -> Seen:
    """Ask them. The database of the servers is empty, and nobody else uses their queues."""
    _create_tables(servers.database_url)
    with outside() as receipts, ExitStack() as exits:
        stages = []
        for number, contender in enumerate(contenders, start=1):
            broker = exits.enter_context(before(servers.amqp_url))
            logs = folder / contender.app
            logs.mkdir(parents=True)
            first = number * ORDERS_OF_EACH
            stages.append(Stage(contender, servers, receipts, broker, logs, first))
        answers = _ask_all(stages, questions)
    return dict(zip(contenders, answers, strict=True))


def is_wrong(seen: Seen) -> bool:
    """Whether Duly has lost or doubled anything."""
    of_duly = [answers for contender, answers in seen.items() if contender.is_duly]
    return any(answer.is_wrong for answers in of_duly for answer in answers.values())


def _create_tables(database_url: str) -> None:
    with psycopg.connect(conninfo(database_url)) as connection:
        connection.execute(ORDERS)
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.begin() as tables:
        migrations.upgrade(tables)
    engine.dispose()


def _ask_all(stages: Sequence[Stage], questions: Sequence[str]) -> list[dict[str, Answer]]:
    with ThreadPoolExecutor(len(stages)) as threads:
        runs = [threads.submit(_ask_one, stage, questions) for stage in stages]
        try:
            return [run.result() for run in runs]
        finally:  # of an error, or Ctrl-C: the others do not go on
            for stage in stages:
                stage.is_over = True


def _ask_one(stage: Stage, questions: Sequence[str]) -> dict[str, Answer]:
    try:
        stage.start()
        answers = {name: _ask(stage, name) for name in questions}
        stage.all_end([each.order for each in answers.values() if each.order is not None])
        seen = {name: conclude(stage, answer) for name, answer in answers.items()}
    finally:
        stage.stop()
    if twice := stage.done_twice():
        seen[TWICE] = Answer(f"done twice: {twice}", is_wrong=True)
    return seen


def _ask(stage: Stage, name: str) -> Answer:
    stage.settle()
    title, ask = QUESTIONS[name]
    answer = ask(stage)
    so_far = conclude(stage, answer).text.replace("lost", "nothing yet")
    say(f"{stage.contender.name}: {title}: {so_far}")
    return answer
