"""How Postgres is to run statements that read little of large tables."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_NO_JIT = text("SELECT set_config('jit', 'off', true)")


def compile_nothing(session: Session) -> None:
    """Have Postgres compile no statement, until this transaction ends.

    It compiles those whose estimated costs are high, which takes up to seconds. The estimates are
    high because the planner does not know that there are few queues.
    """
    session.execute(_NO_JIT)
