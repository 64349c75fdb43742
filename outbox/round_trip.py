"""Statements on a connection of psycopg: one write takes them there, one round trip answers all.

psycopg's pipeline writes each statement by itself and looks for answers in between, which costs a
request more than all the rest of its job. And whoever has slept since the last job finds its code
in no cache of the processor: the less of it is run, the sooner a job starts. See
docs/decisions/0026-steps-in-one-write.md.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import methodcaller
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection, generators
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

Ask = Callable[[PGconn], None]
"""Gives one statement to libpq, which sends it with the others."""
AnyConnection = Connection[Any] | AsyncConnection[Any]
Element = str | float | datetime | None
LARGEST_STATEMENT = 1_000_000_000
"""Bytes of parameters. Postgres closes the connection at 1 GiB, as if it went away by itself."""
BINARY = 1
"""How answers come: as texts, moments would look as the session's DateStyle has it."""


class Statement:
    """A step as Postgres reads it. Its parameters are texts, which Postgres converts."""

    def __init__(self, step: str) -> None:
        self.parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", step)))
        for number, parameter in enumerate(self.parameters, 1):
            step = step.replace(f"%({parameter})s", f"${number}")
        self.text = step.encode()
        self.types = (0,) * len(self.parameters)

    def values(self, row: Mapping[str, str | None], encoding: str) -> list[bytes | None]:
        """The parameters in their order.

        Raises DataError for a text that the connection's encoding lacks, for a NUL, at which libpq
        would cut, and for more than `LARGEST_STATEMENT`.
        """
        texts = [row[parameter] for parameter in self.parameters]
        try:
            values = [None if text is None else text.encode(encoding) for text in texts]
        except UnicodeEncodeError as error:
            raise psycopg.DataError(
                f"a text is more than {encoding} can say: {error.reason}"
            ) from None
        together = b"".join(filter(None, values))
        if len(together) > LARGEST_STATEMENT:
            raise psycopg.DataError(f"a statement takes {LARGEST_STATEMENT} bytes at most")
        if b"\0" in together:
            raise psycopg.DataError("a text for Postgres may not contain NUL")
        return values

    def unprepared(self, values: Sequence[bytes | None]) -> Ask:
        """The statement with these values, on a connection that has not heard of it."""
        return methodcaller("send_query_params", self.text, values, None, None, BINARY)


class PreparedStatement(Statement):
    """One with a name, on connections that belong to the engine alone."""

    def __init__(self, name: str, step: str) -> None:
        super().__init__(step)
        self._name = name.encode()
        self.prepare: Ask = methodcaller("send_prepare", self._name, self.text)
        """To be asked once on each connection, before all else."""

    def of(self, connection: AnyConnection, row: Mapping[str, str | None]) -> Ask:
        """The statement with these parameters. Raises DataError as `values` does.

        It is sent whole where the connection takes no prepared statements: behind a pooler.
        """
        values = self.values(row, connection.info.encoding)
        if connection.prepare_threshold is None:
            return self.unprepared(values)
        return prepared(self._name, values)


def plain(text: str) -> Ask:
    """A statement without parameters."""
    return methodcaller("send_query_params", text.encode(), None)


def prepared(name: bytes, values: Sequence[bytes | None]) -> Ask:
    """One that the connection knows by its name."""
    return methodcaller("send_query_prepared", name, values, None, BINARY)


def array(values: Iterable[Element]) -> str:
    """The text of an array.

    psycopg writes out a list as well, and asks of each element anew how. None becomes an empty
    text, which the statement has to take for NULL: how an array says NULL, a setting decides.
    """
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: Element) -> str:
    if value is None:
        return '""'
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def round_trip(connection: AnyConnection, *asks: Ask) -> PQGen[list[PGresult]]:
    """Ask all of it, for `connection.wait`; returns the answers.

    Without a BEGIN it is one transaction. Raises psycopg's errors: the first that Postgres had
    against any of it; or that answers are missing, which leaves the connection in its pipeline
    mode, of no more use.
    """
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    for ask in asks:
        ask(pgconn)
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    answers = yield from _answers(connection)
    pgconn.exit_pipeline_mode()
    _raise_first_error(connection, answers)
    return answers


def named_rows(connection: AnyConnection, answer: PGresult) -> list[Any]:
    """What the answer holds, in Python's types: named tuples."""
    names = [(answer.fname(column) or b"").decode() for column in range(answer.nfields)]
    transformer = Transformer(connection)
    transformer.set_pgresult(answer)
    return transformer.load_rows(0, answer.ntuples, _row(*names)._make)


@cache
def _row(*names: str) -> type[Any]:
    return namedtuple("Row", names)


def _answers(connection: AnyConnection) -> PQGen[list[PGresult]]:
    """All until the end of the pipeline: one for each statement, and an error of the commit.

    Raises where any is missing: why, if Postgres has said so.
    """
    answers: list[PGresult] = []
    lost: psycopg.Error | None = None
    try:
        while found := (yield from generators.fetch_many(connection.pgconn)):
            if found[-1].status == ExecStatus.PIPELINE_SYNC:
                return answers
            answers += found
    except psycopg.OperationalError as error:
        lost = error
    _raise_first_error(connection, answers)
    raise lost or psycopg.OperationalError("Postgres did not answer as it should")


def _raise_first_error(connection: AnyConnection, answers: Iterable[PGresult]) -> None:
    for answer in answers:
        if answer.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(answer, encoding=connection.info.encoding)
