"""Relay and worker whose RabbitMQ user may do no more than docs/operations.md lists."""

import re
from pathlib import Path
from secrets import token_hex

import pytest

from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.servers.nodes import Nodes

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
RIGHTS = re.compile(r"^rabbitmqctl set_permissions duly-(\w+) '(.*)' '(.*)' '(.*)'$", re.MULTILINE)


def as_user(line: Line, nodes: Nodes, process: str, *rights: str) -> None:
    """Let the processes that are started next log in as a user that may do only this."""
    user, password = f"{process}-{token_hex(4)}", token_hex(8)
    nodes.rabbitmq.control("add_user", user, password)
    nodes.rabbitmq.control("set_permissions", user, *rights)
    login = re.sub("//.*@", f"//{user}:{password}@", nodes.amqp_url)
    line.environment["AMQP_URL"] = login


@pytest.mark.slow
def test_processes_without_the_right_to_configure_use_queues_that_exist(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    listed = {process: rights for process, *rights in RIGHTS.findall(OPERATIONS.read_text())}
    assert listed.keys() == {"relay", "worker", "api"}
    for process, rights in listed.items():
        as_user(line, nodes, process, *rights)
        line.start(process)
        if process == "api":
            assert line.get("/readyz")["status"] == "ready"
    clients.submit_mix()
    promises.assert_kept()
