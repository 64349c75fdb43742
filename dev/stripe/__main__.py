"""`python -m dev.stripe PORT [EVENTS_URL SECRET]` serves until it is ended."""

import sys

from dev.stripe.events import Events
from dev.stripe.provider import Provider
from dev.stripe.server import StripeServer

if __name__ == "__main__":
    port, *to = sys.argv[1:]
    StripeServer(Provider(Events(*to)), int(port)).serve_forever()
