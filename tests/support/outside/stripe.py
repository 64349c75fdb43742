"""The payment provider's server, on a thread of the test's process."""

from contextlib import AbstractContextManager
from threading import Event

from dev.stripe.provider import Provider
from dev.stripe.server import StripeServer
from tests.support.network.threaded import serving


def stripe_server(provider: Provider) -> AbstractContextManager[StripeServer]:
    """Serves the provider while the context lasts."""
    return serving(StripeServer(provider), Event())
