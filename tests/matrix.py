"""`python -m tests.matrix`: the whole suite on the installed servers, and on the newest.

The first run has the lowest SQLAlchemy that pyproject.toml allows, the second the locked one.
Prints a line for each, with the versions of all three. Arguments go to pytest.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dev import postgres18, rabbitmq4, sqlalchemy20
from dev.private import home
from dev.say import CHECKOUT, Failure, say, shown
from dev.versions import postgres_version, rabbitmq_version
from outbox.amqp.connection import parameters
from tests.support.servers.nodes import Nodes, running_nodes

LOGS = CHECKOUT / ".servers" / "matrix"


def main() -> int:
    """Run on both; returns 1 where a test failed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    newest = {
        "DULY_POSTGRES_BIN": str(postgres18.programs(home() / "postgres18")),
        "DULY_RABBITMQ_SBIN": str(rabbitmq4.programs(home() / "rabbitmq4")),
    }
    lowest = {"PYTHONPATH": str(sqlalchemy20.folder(home() / "sqlalchemy20"))}
    codes = [_run("installed", {}, lowest), _run("newest", newest, {})]
    return int(any(codes))


def _run(name: str, programs: Mapping[str, str], packages: Mapping[str, str]) -> int:
    os.environ.update(programs)  # the tests' own servers are of these versions as well
    with running_nodes() as nodes:
        versions, log = _versions(nodes, packages), LOGS / f"{name}.log"
        say(f"{versions}: running, see {shown(log)} ...")
        code = _test(nodes, packages, log)
        say(f"{versions}: {log.read_text().splitlines()[-1]}")
    return code


def _test(nodes: Nodes, packages: Mapping[str, str], log: Path) -> int:
    servers = {"DATABASE_URL": nodes.postgres.url("postgres"), "AMQP_URL": nodes.amqp_url}
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    with log.open("w") as output:
        return subprocess.run(
            command, env=os.environ | packages | servers, stdout=output, stderr=output
        ).returncode


def _versions(nodes: Nodes, packages: Mapping[str, str]) -> str:
    database = postgres_version(nodes.postgres.url("postgres"))
    broker = rabbitmq_version(parameters(nodes.amqp_url))
    ask = (sys.executable, "-c", "import sqlalchemy; print(sqlalchemy.__version__)")
    library = subprocess.check_output(ask, env=os.environ | packages, text=True).strip()
    return f"Postgres {database}, RabbitMQ {broker}, SQLAlchemy {library}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(str(failure))
