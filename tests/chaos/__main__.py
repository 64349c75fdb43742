"""`python -m tests.chaos`: lead systems through a storm and say what became of the orders."""

import argparse
import secrets
import shutil
import signal
import sys
from random import Random

from rich.console import Console

from dev.say import CHECKOUT, Failure, say, shown
from tests.chaos import orders, plan, report, storm
from tests.chaos.contenders import CONTENDERS
from tests.chaos.faults import FAULTS, STRIKES, choose
from tests.chaos.verdict import Verdict

HOME = CHECKOUT / ".chaos"


def main() -> int:
    """Run; returns 1 where Duly broke a promise."""
    options = _options()
    say(f"seed {options.seed}")
    verdicts: dict[str, Verdict] = {}
    for name in options.system or ["duly"]:
        verdicts[name] = _run(name, options)
        report.show(verdicts, Console())
    return int("duly" in verdicts and verdicts["duly"].broken)


def _run(name: str, options: argparse.Namespace) -> Verdict:
    folder = HOME / f"{options.seed}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"{name}: {options.jobs} orders in {options.minutes:g} minutes; see {shown(folder)}")
    seconds = options.minutes * 60
    faults = choose(options.only or ["all"], options.without or [])
    blows = plan.draw(Random(options.seed), faults, seconds)
    contender = CONTENDERS[name]
    draw = orders.draw_with_more if contender.has_more else orders.draw
    placed = draw(Random(options.seed), options.jobs)
    verdict = storm.run(contender, placed, blows, seconds, folder)
    report.write(folder / "verdict.json", contender, vars(options), verdict)
    return verdict


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="orders placed")
    parser.add_argument("--minutes", type=float, default=8, help="how long the storm lasts")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--system", action="append", choices=CONTENDERS, help="may be repeated")
    names = ["all", *STRIKES, *map(str, FAULTS)]
    for option, text in (("--only", "only these faults"), ("--without", "not these faults")):
        parser.add_argument(option, action="append", choices=names, metavar="FAULT", help=text)
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that servers are stopped
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(str(failure))
