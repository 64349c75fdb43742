"""What each scene of the demo uses: the API, the command, and the world outside."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2

from dev.demo import services
from dev.demo.telling import ENDED, tell, way
from dev.say import CHECKOUT, Failure, shown
from outbox.cli.terminal.progress_bar import ProgressLine
from outbox.operations.progress import ProgressRecord

LONGEST_SECONDS = 60
LOGS = f"{shown(services.HOME)}/*.log"


class Stage:
    """The demo's processes, as their users meet them."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables
        self.address = _address("api")
        self.outside = httpx2.Client(base_url=_address("hooks"))
        self.stripe = httpx2.Client(base_url=_address("stripe"))
        self.api = httpx2.Client(base_url=self.address)

    @property
    def database_url(self) -> str:
        """The database, for what a scene writes itself."""
        return self.variables["DATABASE_URL"]

    def get(self, path: str) -> Any:
        """The answer of the API. Raises httpx2's errors, as all that ask it."""
        return self.api.get(path).raise_for_status().json()

    def post(self, path: str, body: object) -> Any:
        """The answer to what is posted, with a key that makes a repetition harmless."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self.api.post(path, json=body, headers=headers).raise_for_status().json()

    def duly(self, *arguments: str) -> str:
        """The management command's output. Raises Failure."""
        done = subprocess.run(
            [*services.DULY, *arguments],
            env=self.variables,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failure(f"duly {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def listen(self) -> Any:
        """A webhook endpoint for the demo's receiver, in place of an earlier run's."""
        url = f"{_address('hooks')}/hooks"
        for old in self.get("/v1/webhook-endpoints")["webhook_endpoints"]:
            if old["url"] == url:
                self.api.delete(f"/v1/webhook-endpoints/{old['id']}").raise_for_status()
        endpoint = self.post("/v1/webhook-endpoints", {"url": url, "events": ["invoice.rendered"]})
        self.answer_with(204, endpoint)
        return endpoint

    def answer_with(self, status: int, endpoint: dict[str, Any]) -> None:
        """Have the demo's receiver answer webhooks so from now on."""
        body = {"secret": endpoint["secret"], "status": status}
        self.outside.put("/hooks", json=body).raise_for_status()

    def follow(self, job_id: str) -> Any:
        """Print each state of the job until it ends. Raises Failure where it stands still."""
        told, deadline = "", time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < deadline:
            job = self.get(f"/v1/jobs/{job_id}")
            line = f"{job['kind']:16} {way(job)}"
            if line != told:
                tell(line)
                told = line
            if job["state"] in ENDED:
                return job
            time.sleep(0.02)
        raise Failure(f"the job did not end in {LONGEST_SECONDS} s; see {LOGS}")

    def draw(self, path: str, end: str, progress: Callable[[Any], ProgressRecord]) -> Any:
        """Draw a bar until what is there has a time of this `end`, and return it.

        Raises Failure where it stands still.
        """
        line, deadline = ProgressLine(), time.monotonic() + LONGEST_SECONDS
        while (found := self.get(path))[end] is None:
            line.show(progress(found))
            if time.monotonic() > deadline:
                raise Failure(f"{path} did not end in {LONGEST_SECONDS} s; see {LOGS}")
            time.sleep(0.2)
        line.show(progress(found))
        line.end()
        return found

    def letter_of(self, job: dict[str, Any]) -> Any:
        """The dead letter of a job that is dead."""
        listed = self.duly("dlq", "list", "--kind", job["kind"], "--output", "json")
        return next(each for each in json.loads(listed) if each["job_id"] == job["id"])


def _address(name: str) -> str:
    return f"http://127.0.0.1:{services.port(name)}"
