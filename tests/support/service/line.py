"""The whole line as its users meet it: processes, the API, the command, and the world outside."""

import json
import subprocess
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from dev.ports import free_port
from tests.support.outside.mail_server import Inbox
from tests.support.outside.receiver import Receiver
from tests.support.service.process import DULY, Process
from tests.support.wait import wait_for

INVOICE = {
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "currency": "EUR",
    "lines": [{"description": "Analytical engine", "quantity": 2, "unit_price": "480.00"}],
}


class Line:
    """Duly's processes on a database of their own, and the servers that their effects reach.

    A test may change `environment` before it starts any.
    """

    def __init__(
        self, environment: dict[str, str], folder: Path, inbox: Inbox, receiver: Receiver
    ) -> None:
        self.environment = environment
        self.inbox = inbox
        self.receiver = receiver
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{free_port()}", timeout=30)
        self._folder = folder
        self._processes: list[Process] = []

    def start(self, *names: str) -> list[Process]:
        """Start a process for each of `api`, `relay`, `worker`; the API answers on return."""
        started = [self._start(name) for name in names]
        if "api" in names:
            self.http.headers["Authorization"] = f"Bearer {self._key()}"
            wait_for("the API answers", self.answers)
        return started

    def start_worker(self, *options: str) -> Process:
        """Start a worker with options."""
        return self._start("worker", *options)

    def start_relay(self, *options: str) -> Process:
        """Start a relay with options."""
        return self._start("relay", *options)

    def end(self) -> None:
        """Kill what runs, and print all logs."""
        for process in self._processes:
            process.kill()
            process.report()
        self.http.close()

    def answers(self) -> bool:
        """Whether the API is there."""
        try:
            return self.http.get("/healthz").is_success
        except httpx2.TransportError:
            return False

    def get(self, path: str) -> Any:
        """What the API says."""
        return self.http.get(path).raise_for_status().json()

    def post(self, path: str, body: object) -> Any:
        """What the API says to something that it takes."""
        return self.http.post(path, json=body).raise_for_status().json()

    def duly(self, *arguments: str) -> str:
        """What the command prints when it succeeds."""
        done = subprocess.run(
            [*DULY, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def duly_json(self, *arguments: str) -> Any:
        """What the command prints as JSON."""
        return json.loads(self.duly(*arguments, "--output", "json"))

    def listen(self) -> Any:
        """A webhook endpoint that is the test's receiver, for all events."""
        return self.post("/v1/webhook-endpoints", {"url": self.receiver.url, "events": ["*"]})

    def submit_webhook(self, endpoint: dict[str, Any]) -> str:
        """The id of a new job that delivers an event to the endpoint."""
        payload = {"endpoint_id": endpoint["id"], "event": "invoice.paid", "data": {"paid": True}}
        return self._submit({"kind": "webhook.deliver", "payload": payload})

    def submit_email(self, run_at: datetime | None = None) -> str:
        """The id of a new job that sends a mail."""
        payload = {"to": "ada@example.com", "subject": "Hello", "text": "How are you?"}
        held_back = {"run_at": run_at.isoformat()} if run_at else {}
        return self._submit({"kind": "email.send", "payload": payload} | held_back)

    def job(self, job_id: str) -> Any:
        """The job with its attempts."""
        return self.get(f"/v1/jobs/{job_id}")

    def outcomes(self, job_id: str) -> list[str]:
        """How each attempt of the job ended."""
        return [attempt["outcome"] for attempt in self.job(job_id)["attempts"]]

    def wait_for_state(self, state: str, job_ids: Iterable[str]) -> None:
        """Wait until all these jobs are in the state."""
        left = set(job_ids)

        def all_there() -> bool:
            left.difference_update(
                [job_id for job_id in left if self.job(job_id)["state"] == state]
            )
            return not left

        wait_for(f"all jobs {state}", all_there)

    def wait_for_no_unfinished_job(self) -> None:
        """Wait until no job is queued or running."""
        unfinished = [f"/v1/jobs?limit=1&state={state}" for state in ("queued", "running")]
        wait_for("all is done", lambda: not any(self.get(path)["jobs"] for path in unfinished))

    def _submit(self, job: dict[str, Any]) -> str:
        return str(self.post("/v1/jobs", job)["id"])

    def _start(self, *arguments: str, command: tuple[str, ...] = DULY) -> Process:
        log = self._folder / f"{arguments[0]}-{len(self._processes)}.log"
        port = ("--port", str(self.http.base_url.port)) if arguments == ("api",) else ()
        process = Process(log, self.environment, (*arguments, *port), command)
        process.start()
        self._processes.append(process)
        return process

    def _key(self) -> str:
        create = ("keys", "create", "--name", "test", "--scopes", "admin,payloads")
        return self.duly(*create).strip()
