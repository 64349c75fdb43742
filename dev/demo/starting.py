"""Starts the demo's processes on a migrated database."""

import httpx2

from dev.demo import services
from dev.demo.stage import Stage
from dev.roles import role_of_processes
from dev.say import say

API_KEY = services.HOME / "api-key"


def start(stage: Stage) -> None:
    """Start all, in place of what an earlier run left. Raises Failure."""
    services.stop()
    _migrate(stage)
    services.start(stage.variables)
    services.wait_for("sink", lambda: _answers(stage.outside, "/received"))
    services.wait_for("stripe", lambda: _answers(stage.stripe, "/_/book"))
    services.wait_for("api", lambda: _answers(stage.api, "/readyz"))
    stage.api.headers["Authorization"] = f"Bearer {_key(stage)}"
    say("api, relay and worker run")


def _migrate(stage: Stage) -> None:
    """As the owner of the tables; from then on as a role that has no more than its rights."""
    if own := role_of_processes(stage.database_url, services.HOME):
        role, url = own
        stage.duly("migrate", "--grant-to", role)
        stage.variables["DATABASE_URL"] = url
    else:
        stage.duly("migrate")


def _key(stage: Stage) -> str:
    """The demo's API key, made when it is first needed."""
    if not API_KEY.exists() or not _accepts(stage.api, API_KEY.read_text().strip()):
        key = stage.duly("keys", "create", "--name", "demo", "--scopes", "admin,payloads")
        API_KEY.touch(mode=0o600)
        API_KEY.write_text(key)
    return API_KEY.read_text().strip()


def _accepts(api: httpx2.Client, key: str) -> bool:
    headers = {"Authorization": f"Bearer {key}"}
    return api.get("/v1/jobs?limit=1", headers=headers).status_code == 200


def _answers(client: httpx2.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx2.TransportError:
        return False
