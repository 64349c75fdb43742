"""`python -m tests.compare`: ask each system the same questions, and print what was seen."""

import argparse
import shutil
import signal
import sys

from rich.console import Console

from dev.say import CHECKOUT, Failure, say, shown
from dev.servers import Servers
from tests.compare import report
from tests.compare.contenders import ALL
from tests.compare.questions import QUESTIONS
from tests.compare.run import is_wrong, run
from tests.support.servers.databases import new_database
from tests.support.servers.nodes import running_nodes

HOME = CHECKOUT / ".compare"


def main() -> int:
    """Run, on servers of its own; returns 1 where Duly lost or doubled something."""
    options = _options()
    contenders = [each for each in ALL if each.name in (options.system or [each.name])]
    questions = [name for name in QUESTIONS if name in (options.question or [name])]
    shutil.rmtree(HOME, ignore_errors=True)
    say("starting a Postgres and a RabbitMQ of its own ...")
    with running_nodes() as nodes, new_database(nodes.postgres.url("postgres"), "template0") as url:
        seen = run(contenders, questions, Servers(url, nodes.amqp_url, "private"), HOME)
    (HOME / "table.md").write_text(report.markdown(seen))
    report.show(seen, Console())
    say(f"logs and table.md: {shown(HOME)}")
    return int(is_wrong(seen))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description=__doc__)
    names = [each.name for each in ALL]
    parser.add_argument("--system", action="append", choices=names, help="may be repeated")
    parser.add_argument("--question", action="append", choices=QUESTIONS, help="may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that processes are stopped
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(str(failure))
