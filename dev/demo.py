"""`make demo`: starts everything and shows one job's whole way, from the POST to the replay."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx2
from pypdf import PdfReader

from dev import demo_batch, services
from dev.roles import role_of_processes
from dev.say import CHECKOUT, Failure, say, shown
from dev.servers import up
from outbox.cli.terminal.progress_bar import ProgressLine

LONGEST_SECONDS = 60
LOGS = f"{shown(services.HOME)}/*.log"
ENDED = ("succeeded", "dead", "cancelled")
API_KEY = services.HOME / "api-key"
INVOICE = {
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "currency": "EUR",
    "lines": [
        {"description": "Analytical engine, one day", "quantity": 2, "unit_price": "480.00"},
        {"description": "Punched cards", "quantity": 500, "unit_price": "0.12"},
    ],
}

CARD = {"payment_method": "pm_card_visa"}

NIGHTLY = {
    "name": "demo.nightly",
    "cron": "0 2 * * *",
    "zone": "Europe/Berlin",
    "kind": "email.send",
    "payload": {"to": "ada@example.com", "subject": "Good night", "text": "All is well."},
}


class Demo:
    """The story, told to whoever runs it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._outside = httpx2.Client(base_url=f"http://127.0.0.1:{services.port('hooks')}")
        self._stripe = httpx2.Client(base_url=f"http://127.0.0.1:{services.port('stripe')}")
        self._api = httpx2.Client(base_url=f"http://127.0.0.1:{services.port('api')}")

    def run(self) -> None:
        """Start, show the main job, show a failing one, and leave all running."""
        self._start()
        endpoint = self._listen()
        title("An invoice is posted: its rows and its job commit together")
        invoice = self._post("/v1/invoices", INVOICE)
        tell(f"201 {invoice['id']}, {invoice['total']} {invoice['currency']}")
        for job in self._jobs_of(invoice, endpoint):
            self._follow(job["id"])
        self._show_what_arrived(invoice)
        self._charge(invoice)
        self._fail_and_replay(endpoint)
        self._show_schedule()
        self._show_batch()
        self._farewell()

    def _start(self) -> None:
        services.stop()
        self._migrate()
        services.start(self._variables)
        services.wait_for("sink", lambda: answers(self._outside, "/received"))
        services.wait_for("stripe", lambda: answers(self._stripe, "/_/book"))
        services.wait_for("api", lambda: answers(self._api, "/readyz"))
        self._api.headers["Authorization"] = f"Bearer {self._key()}"
        say("api, relay and worker run")

    def _migrate(self) -> None:
        """As the owner of the tables; from then on as a role that has no more than its rights."""
        if own := role_of_processes(self._variables["DATABASE_URL"], services.HOME):
            role, url = own
            self._duly("migrate", "--grant-to", role)
            self._variables["DATABASE_URL"] = url
        else:
            self._duly("migrate")

    def _key(self) -> str:
        """The demo's API key, made when it is first needed."""
        if not API_KEY.exists() or not self._accepts(API_KEY.read_text().strip()):
            scopes = "admin,payloads"
            key = self._duly("keys", "create", "--name", "demo", "--scopes", scopes)
            API_KEY.touch(mode=0o600)
            API_KEY.write_text(key)
        return API_KEY.read_text().strip()

    def _accepts(self, key: str) -> bool:
        headers = {"Authorization": f"Bearer {key}"}
        return self._api.get("/v1/jobs?limit=1", headers=headers).status_code == 200

    def _listen(self) -> Any:
        """A webhook endpoint for the demo's receiver, in place of an earlier run's."""
        url = f"{self._outside.base_url}/hooks".replace("//hooks", "/hooks")
        for old in self._get("/v1/webhook-endpoints")["webhook_endpoints"]:
            if old["url"] == url:
                self._api.delete(f"/v1/webhook-endpoints/{old['id']}").raise_for_status()
        endpoint = self._post("/v1/webhook-endpoints", {"url": url, "events": ["invoice.rendered"]})
        self._answer_with(204, endpoint)
        return endpoint

    def _answer_with(self, status: int, endpoint: dict[str, Any]) -> None:
        body = {"secret": endpoint["secret"], "status": status}
        self._outside.put("/hooks", json=body).raise_for_status()

    def _jobs_of(
        self, invoice: dict[str, Any], endpoint: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """The invoice's three jobs as they come to be: what one submits comes after it."""
        seen: set[str] = set()
        while len(seen) < 3:
            found = self._get(f"/v1/jobs?subject=invoice:{invoice['id']}")["jobs"]
            for job in sorted(found, key=lambda job: str(job["id"])):
                ours = job["payload"].get("endpoint_id", endpoint["id"]) == endpoint["id"]
                if ours and job["id"] not in seen:
                    seen.add(job["id"])
                    yield job

    def _follow(self, job_id: str) -> Any:
        """Print each state of the job until it ends. Raises Failure where it stands still."""
        told, deadline = "", time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < deadline:
            job = self._get(f"/v1/jobs/{job_id}")
            line = f"{job['kind']:16} {way(job)}"
            if line != told:
                tell(line)
                told = line
            if job["state"] in ENDED:
                return job
            time.sleep(0.02)
        raise Failure(f"the job did not end in {LONGEST_SECONDS} s; see {LOGS}")

    def _show_what_arrived(self, invoice: dict[str, Any]) -> None:
        pdf = services.HOME / "invoice.pdf"
        pdf.write_bytes(
            self._api.get(f"/v1/invoices/{invoice['id']}/pdf").raise_for_status().content
        )
        tell(f"the PDF: {shown(pdf)}, {pdf.stat().st_size} bytes; it says")
        for line in PdfReader(pdf).pages[0].extract_text().splitlines():
            tell(f"    {line}")
        received = self._outside.get("/received").json()
        mail, webhook = received["mails"][-1], received["webhooks"][-1]
        tell(
            f"the mail: to {mail['to']}, “{mail['subject']}”, with {', '.join(mail['attachments'])}"
        )
        tell(f"the webhook, its signature verified: {json.dumps(webhook['event'])}")

    def _charge(self, invoice: dict[str, Any]) -> None:
        title("The invoice is charged, and the provider's answer is lost on its way back")
        self._stripe.post("/_/faults", json={"confirm": ["lose-answer"]}).raise_for_status()
        payment = self._post(f"{invoice['links']['self']}/charge", CARD)
        self._follow(payment["job"]["id"])
        payment = self._get(payment["links"]["self"])
        tell(f"the payment has {payment['state']}: {payment['amount']} {payment['currency']}")
        moved = self._stripe.get("/_/book").raise_for_status().json()["movements"]
        charged = [each["amount"] for each in moved if each["invoice"] == invoice["id"]]
        tell(f"the provider's own book has one charge of this invoice: {charged} cents")

    def _fail_and_replay(self, endpoint: dict[str, Any]) -> None:
        title("The receiver breaks: a webhook fails until it is dead")
        self._answer_with(500, endpoint)
        payload = {"endpoint_id": endpoint["id"], "event": "invoice.paid", "data": {"paid": True}}
        dead = self._follow(
            self._post("/v1/jobs", {"kind": "webhook.deliver", "payload": payload})["id"]
        )
        tell(f"{len(dead['attempts'])} attempts, each with its error")
        letters = json.loads(
            self._duly("dlq", "list", "--kind", "webhook.deliver", "--output", "json")
        )
        letter = next(letter for letter in letters if letter["job_id"] == dead["id"])
        title(f"$ duly dlq show {letter['id']}")
        print(self._duly("dlq", "show", str(letter["id"])), flush=True)
        title(f"The receiver is mended. $ duly dlq replay {letter['id']} --why 'receiver mended'")
        self._answer_with(204, endpoint)
        self._duly("dlq", "replay", str(letter["id"]), "--why", "receiver mended", "--yes")
        self._follow(dead["id"])

    def _show_schedule(self) -> None:
        title("A schedule: a mail every night at two, by the clocks of Berlin")
        made = self._api.post("/v1/schedules", json=NIGHTLY)
        if made.status_code != 409:  # an earlier run of the demo has made it
            made.raise_for_status()
        for due_at in self._get(f"/v1/schedules/{NIGHTLY['name']}")["next_runs"][:3]:
            tell(f"it will run at {due_at}")
        tell(f"what it made, and what it skipped and why: duly schedules show {NIGHTLY['name']}")

    def _show_batch(self) -> None:
        title(f"A batch: a mail to {demo_batch.CUSTOMERS} customers, then one to Ada")
        batch_id = demo_batch.submit_mails(self._variables["DATABASE_URL"])
        self._draw(f"/v1/batches/{batch_id}")
        for callback in self._get(f"/v1/jobs?subject=batch:{batch_id}")["jobs"]:
            self._follow(callback["id"])
        tell(f"how its members ended: duly batches show {batch_id}")

    def _draw(self, batch: str) -> None:
        """Draw a bar until all members have ended. Raises Failure where it stands still."""
        line, deadline = ProgressLine(), time.monotonic() + LONGEST_SECONDS
        while (group := self._get(batch))["settled_at"] is None:
            line.show(demo_batch.progress(group))
            if time.monotonic() > deadline:
                raise Failure(f"the batch did not settle in {LONGEST_SECONDS} s; see {LOGS}")
            time.sleep(0.2)
        line.show(demo_batch.progress(group))
        line.end()

    def _farewell(self) -> None:
        title("All of it goes on running")
        tell(f"the API: {self._api.base_url} and its docs: {self._api.base_url}/docs")
        tell(f"the API key: {shown(API_KEY)}   logs: {LOGS}")
        tell("stop it: make down")

    def _get(self, path: str) -> Any:
        return self._api.get(path).raise_for_status().json()

    def _post(self, path: str, body: object) -> Any:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._api.post(path, json=body, headers=headers).raise_for_status().json()

    def _duly(self, *arguments: str) -> str:
        """The management command's output. Raises Failure."""
        done = subprocess.run(
            [*services.DULY, *arguments],
            env=self._variables,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failure(f"duly {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def way(job: dict[str, Any]) -> str:
    """The job's states so far, with the milliseconds between them."""
    steps = ["queued"]
    for attempt in job["attempts"]:
        since = milliseconds(job["created_at"], attempt["started_at"])
        steps.append(f"running (+{since} ms)")
        if attempt["outcome"] not in ("running", "succeeded"):
            steps.append(f"{attempt['outcome']}: {attempt['error_message']}")
    if job["state"] in ENDED:
        steps.append(f"{job['state']} (+{milliseconds(job['created_at'], job['finished_at'])} ms)")
    return " → ".join(steps[:1] + steps[-3:] if len(steps) > 4 else steps)


def milliseconds(start: str, end: str) -> int:
    """From one moment to another."""
    return round(
        (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1e3
    )


def answers(client: httpx2.Client, path: str) -> bool:
    """Whether the server is there and content."""
    try:
        return client.get(path).status_code == 200
    except httpx2.TransportError:
        return False


def title(text: str) -> None:
    """A heading of the story."""
    print(f"\n== {text}", flush=True)


def tell(text: str) -> None:
    """A line of the story."""
    print(f"   {text}", flush=True)


def main() -> None:
    """`python -m dev.demo [down]`."""
    if sys.argv[1:] == ["down"]:
        services.stop()
        say("demo: stopped")
        return
    Demo(services.environment(up("demo"))).run()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(str(failure))
        sys.exit(1)
    except httpx2.HTTPError as error:
        say(f"{error}; see {LOGS}")
        sys.exit(1)
