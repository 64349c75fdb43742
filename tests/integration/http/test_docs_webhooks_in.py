"""The example of docs/patterns/webhooks-in.md, added to the table of events."""

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest

from service.hooks import jobs_of_events
from tests.integration.http.hooks import Hooks, new_id
from tests.support.outside.senders import standard_headers

PAGE = Path(__file__).parents[3] / "docs" / "patterns" / "webhooks-in.md"


def test_an_event_of_the_page_becomes_the_job_of_the_page(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_of_events, "WORK_OF", dict(jobs_of_events.WORK_OF))
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(example, dict(vars(jobs_of_events)))
    secret = hooks.operator.post("/v1/hook-sources", json={"name": "portal"}).json()["secret"]
    data = {"invoice_id": str(uuid4())}
    event = {"type": "invoice.copy_requested", "data": data}
    body, event_id = json.dumps(event).encode(), new_id("msg")

    answer = hooks.send("portal", body, standard_headers(body, event_id, secret)).json()

    shown = hooks.operator.get(f"/v1/hook-events/{answer['id']}").json()
    job = hooks.operator.get(shown["links"]["job"]).json()
    assert job["kind"] == "invoice.render"
    assert job["payload"].items() >= data.items()
