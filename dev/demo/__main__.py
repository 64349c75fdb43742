"""`python -m dev.demo [down]`."""

import sys
import time

import httpx2

from dev.demo import services, story
from dev.demo.stage import LOGS
from dev.say import Failure, say
from dev.servers import up


def main() -> None:
    """Run the demo, or stop what it started."""
    if sys.argv[1:] == ["down"]:
        services.stop()
        say("demo: stopped")
        return
    begun = time.monotonic()
    story.tell_all(services.environment(up("demo")), begun)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(str(failure))
        sys.exit(1)
    except httpx2.HTTPError as error:
        say(f"{error}; see {LOGS}")
        sys.exit(1)
