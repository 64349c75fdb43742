"""Make sure that a RabbitMQ has a virtual host."""

from collections.abc import Callable

from dev import amqp
from dev.say import Failure
from dev.wait import wait_until


def ensure_vhost(url: str, user: str, rabbitmqctl: Callable[..., object]) -> None:
    """Create the virtual host of the URL, with all rights for the user, unless it opens.

    Asking the server costs milliseconds and notices wiped data; rabbitmqctl takes a second.
    """
    if amqp.opens(url):
        return
    vhost = amqp.vhost(url)
    rabbitmqctl("add_vhost", vhost)
    rabbitmqctl("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
    if not wait_until(lambda: amqp.opens(url), seconds=20):
        raise Failure(f"rabbitmq: the virtual host {vhost} was created but does not open")
