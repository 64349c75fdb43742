"""`python -m dev.watch`: watches the demo that runs, and gives it work until Ctrl-C."""

import itertools
import sys
import time

import httpx2

from dev import prometheus
from dev.demo import services
from dev.demo.charging import CARD
from dev.demo.invoices import INVOICE
from dev.demo.starting import API_KEY
from dev.private import home
from dev.say import Failure, say
from outbox import monitoring

FOLDER = services.HOME / "prometheus"
SCRAPED_EVERY = "2s"
INVOICES_EACH_SECOND = 2


def address(name: str) -> str:
    """Where what has that name listens."""
    return f"127.0.0.1:{services.port(name)}"


def watch() -> None:
    """Start Prometheus and the page; both run until `make down`. Raises Failure."""
    if not API_KEY.exists() or not answers(address("api"), "/readyz"):
        raise Failure("the demo does not run; start it with `make demo`")
    start_prometheus()
    page = [sys.executable, "-m", "dev.watch.server", str(services.port("page"))]
    services.supervise("page", [*page, f"http://{address('prometheus')}"])
    services.wait_for("page", lambda: answers(address("page"), "/"))


def start_prometheus() -> None:
    """With the alert rules, on the demo's processes. Raises Failure."""
    metrics = {"relay": "relay-metrics", "worker": "worker-metrics", "api": "api"}
    targets = {name: [address(port)] for name, port in metrics.items()}
    rules, keys = monitoring.alerts(), {"api": API_KEY}
    prometheus.configure(FOLDER, rules, targets, every=SCRAPED_EVERY, keys=keys)
    server = prometheus.server(home() / "prometheus", FOLDER, services.port("prometheus"))
    services.supervise("prometheus", server)
    services.wait_for("prometheus", lambda: answers(address("prometheus"), "/-/ready"))


def work() -> None:
    """Post invoices, and charge every other one, until Ctrl-C."""
    headers = {"Authorization": f"Bearer {API_KEY.read_text().strip()}"}
    with httpx2.Client(base_url=f"http://{address('api')}", headers=headers) as api:
        for number in itertools.count():
            invoice = api.post("/v1/invoices", json=INVOICE).raise_for_status().json()
            if number % 2:
                api.post(f"{invoice['links']['self']}/charge", json=CARD).raise_for_status()
            time.sleep(1 / INVOICES_EACH_SECOND)


def answers(address: str, path: str) -> bool:
    """Whether the server is there and content."""
    try:
        return httpx2.get(f"http://{address}{path}").is_success
    except httpx2.TransportError:
        return False


if __name__ == "__main__":
    try:
        watch()
        print(f"the dashboard: http://{address('page')}")
        print(f"Prometheus, for Grafana: http://{address('prometheus')}", flush=True)
        print("invoices are posted until Ctrl-C; make down stops all", flush=True)
        work()
    except (Failure, OSError, httpx2.HTTPError) as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)
