"""What a process says where it cannot serve its metrics."""

import socket
import subprocess
import sys

import pytest

from outbox.cli.errors import Code, Stop
from outbox.cli.metrics import serve, serve_of_relay
from outbox.metrics.registry import Metrics


def test_a_port_in_use_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Stop) as stop:
            serve(Metrics(), "127.0.0.1", port)
    assert str(stop.value) == (
        f"no metrics can be served on 127.0.0.1:{port}: Address already in use"
    )
    assert stop.value.code == Code.FAILED


@pytest.mark.parametrize("host", ["256.0.0.1", "a..b", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_named_in_one_line(host: str) -> None:
    with pytest.raises(Stop, match=rf"^no metrics can be served on {host}:0: [^\n]+$"):
        serve(Metrics(), host, 0)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(
        Stop, match=r"^--metrics-port needs .*pip install 'duly\[metrics\]'$"
    ) as stop:
        serve_of_relay("127.0.0.1", 9101, [])
    assert stop.value.code == Code.USAGE


def test_a_process_without_metrics_imports_nothing_of_them() -> None:
    modules = "outbox.cli.commands.processes, outbox.relay.process, outbox.worker.process"
    code = f"import sys, {modules}; print(*sys.modules)"
    imported = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "outbox.listeners.measures" in imported
    assert not {"outbox.metrics", "prometheus_client"} & set(imported)
