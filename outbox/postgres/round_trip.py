"""Runs several statements on a psycopg connection in one write and one round trip.

psycopg's pipeline writes each statement separately and polls for answers in between. That costs a
request more than everything else about its job. And code that has not run since the last job is
in no cache of the processor: the less of it runs, the sooner a job starts. See
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
"""Passes one statement to libpq, which sends it with the others."""

AnyConnection = Connection[Any] | AsyncConnection[Any]
Element = str | float | datetime | None

LARGEST_STATEMENT = 1_000_000_000
"""Bytes of parameters. At 1 GiB Postgres closes the connection, which looks like an outage."""

BINARY = 1
"""The format of results: in text format, times would depend on the session's DateStyle."""


class Statement:
    """A transition with Postgres's placeholders. Parameters are text, which Postgres converts."""

    def __init__(self, transition: str) -> None:
        self.parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", transition)))
        for number, parameter in enumerate(self.parameters, 1):
            transition = transition.replace(f"%({parameter})s", f"${number}")
        self.text = transition.encode()
        self.types = (0,) * len(self.parameters)

    def values(self, row: Mapping[str, str | None], encoding: str) -> list[bytes | None]:
        """The parameters in their order.

        Raises DataError for text that the connection's encoding cannot represent, for a NUL, at
        which libpq would cut it off, and for more than `LARGEST_STATEMENT` bytes.
        """
        texts = [row[parameter] for parameter in self.parameters]
        try:
            values = [None if text is None else text.encode(encoding) for text in texts]
        except UnicodeEncodeError as error:
            raise psycopg.DataError(
                f"a text cannot be encoded in {encoding}: {error.reason}"
            ) from None
        together = b"".join(filter(None, values))
        if len(together) > LARGEST_STATEMENT:
            raise psycopg.DataError(f"a statement takes {LARGEST_STATEMENT} bytes at most")
        if b"\0" in together:
            raise psycopg.DataError("a text for Postgres may not contain NUL")
        return values

    def unprepared(self, values: Sequence[bytes | None]) -> Ask:
        """The statement with these values, for a connection on which it is not prepared."""
        return methodcaller("send_query_params", self.text, values, None, None, BINARY)


class PreparedStatement(Statement):
    """A statement with a name, for connections that belong to the engine alone."""

    def __init__(self, name: str, transition: str) -> None:
        super().__init__(transition)
        self._name = name.encode()
        self.prepare: Ask = methodcaller("send_prepare", self._name, self.text)
        """Send this once on each connection, before all else."""

    def of(self, connection: AnyConnection, row: Mapping[str, str | None]) -> Ask:
        """The statement with these parameters. Raises DataError as `values` does.

        It is sent unprepared if the connection allows no prepared statements: behind a pooler.
        """
        values = self.values(row, connection.info.encoding)
        if connection.prepare_threshold is None:
            return self.unprepared(values)
        return prepared(self._name, values)


def plain(text: str) -> Ask:
    """A statement without parameters."""
    return methodcaller("send_query_params", text.encode(), None)


def prepared(name: bytes, values: Sequence[bytes | None]) -> Ask:
    """A statement that is prepared on the connection under this name."""
    return methodcaller("send_query_prepared", name, values, None, BINARY)


def array(values: Iterable[Element]) -> str:
    """The text of a Postgres array.

    psycopg adapts lists, too, but looks up how for each element. None becomes an empty text, which
    the statement has to read as NULL: how an array writes NULL depends on a setting.
    """
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: Element) -> str:
    if value is None:
        return '""'
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def round_trip(connection: AnyConnection, *asks: Ask) -> PQGen[list[PGresult]]:
    """Send the statements and return their answers; to be run by `connection.wait`.

    Without a BEGIN they are one transaction. Raises psycopg's errors: the first with which
    Postgres refused any of it, or one that says that answers are missing. If answers are missing,
    the connection stays in pipeline mode and is of no more use.
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
    """The answer's rows as named tuples of Python values."""
    names = [(answer.fname(column) or b"").decode() for column in range(answer.nfields)]
    transformer = Transformer(connection)
    transformer.set_pgresult(answer)
    return transformer.load_rows(0, answer.ntuples, _row(*names)._make)


@cache
def _row(*names: str) -> type[Any]:
    return namedtuple("Row", names)


def _answers(connection: AnyConnection) -> PQGen[list[PGresult]]:
    """All answers of the pipeline: one for each statement, and an error of the commit, if any.

    Raises if any is missing; the error is Postgres's own, if it has sent one.
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
    raise lost or psycopg.OperationalError("Postgres did not answer every statement")


def _raise_first_error(connection: AnyConnection, answers: Iterable[PGresult]) -> None:
    for answer in answers:
        if answer.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(answer, encoding=connection.info.encoding)
