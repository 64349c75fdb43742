"""The app of docs/your-app.md, run from an installed wheel outside of the checkout.

The app has packages called `service`, `actors` and `migrations` of its own.
"""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from dev.ports import free_port
from tests.wait import wait_for

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "your-app.md").read_text()
FILES = re.compile(r"```python\n# (shop/\w+\.py)\n(.*?)```", re.DOTALL)
OWN = ("service", "actors", "migrations")
Environment = dict[str, str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and of all else only what the wheel asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    assert [each.name for each in site.iterdir() if each.suffix != ".dist-info"] == ["outbox"]
    # The packages that it depends on, but not the checkout: that is in a .pth file there.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    assert (site / "outbox" / "py.typed").exists()
    return python


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The page's app, in a folder."""
    for name, source in FILES.findall(PAGE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    for name in OWN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OURS = True\n")
    jobs = tmp_path / "shop" / "jobs.py"
    jobs.write_text(jobs.read_text() + "\nfrom service import OURS as OURS\n")
    return tmp_path


@pytest.fixture
def environment(empty_database_url: str, amqp_url: str) -> Environment:
    """As the page exports it. The database has the app's own tables, and its alembic_version."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id serial PRIMARY KEY, address text, shipped boolean NOT NULL);"
            "CREATE TABLE alembic_version (version_num text);"
            "INSERT INTO alembic_version VALUES ('a')"
        )
    return os.environ | {
        "DATABASE_URL": empty_database_url,
        "AMQP_URL": amqp_url,
        "DULY_APP": "shop.jobs:duly",
    }


@pytest.fixture
def api(installed: Path, shop: Path, environment: Environment) -> Iterator[str]:
    """The app's address; its relay and worker run, too."""
    duly(installed, shop, environment, "migrate")
    port = free_port()
    serve = ("-m", "uvicorn", "shop.app:app", "--port", str(port))
    commands = [serve, ("-m", "outbox.cli", "relay"), ("-m", "outbox.cli", "worker")]
    processes = [
        subprocess.Popen([installed, *command], cwd=shop, env=environment) for command in commands
    ]
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for("the app", lambda: answers(f"{address}/ops/readyz"))
        yield address
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(30) for process in processes[1:]] == [0, 0]
        processes[0].wait(30)


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def duly(python: Path, folder: Path, environment: Environment, *arguments: str) -> str:
    command = [str(python), "-m", "outbox.cli", *arguments]
    return subprocess.check_output(command, cwd=folder, env=environment, text=True)


def test_a_job_is_submitted_fails_and_is_replayed_by_command_and_over_http(
    installed: Path, shop: Path, environment: Environment, api: str
) -> None:
    def command(*arguments: str) -> str:
        return duly(installed, shop, environment, *arguments)

    def states() -> list[str]:
        return re.findall(r'"state": "(\w+)"', command("jobs", "list", "--output", "json"))

    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as database:
        for address in ("Main Street 1", "", ""):
            made = httpx2.post(f"{api}/orders", params={"address": address})
            assert made.status_code == 201
        wait_for("dead", lambda: sorted(states()) == ["dead", "dead", "succeeded"])
        assert "NoAddress" in command("dlq", "show", "1")

        database.execute("UPDATE orders SET address = 'Side Street 2'")
        command("dlq", "replay", "1", "--by", "ada", "--why", "address added", "--yes")
        key = command("keys", "create", "--name", "ops", "--scopes", "read,operate", "--by", "ada")
        with httpx2.Client(headers={"Authorization": f"Bearer {key.strip()}"}) as client:
            (letter,) = client.get(f"{api}/ops/v1/dead-letters?open=true").json()["dead_letters"]
            assert client.post(f"{api}{letter['links']['replay']}").status_code == 200
            wait_for("all are shipped", lambda: states() == ["succeeded"] * 3)
            assert client.get(f"{api}{letter['links']['job']}").json()["state"] == "succeeded"
            bad = client.get(f"{api}/ops/v1/jobs/no-uuid").json()
            assert client.get(f"{api}{bad['type']}").json()["status"] == 422
            described = client.get(f"{api}/openapi.json").json()

        assert bad["type"] == "/ops/problems/validation"
        assert "ProblemBody" in described["components"]["schemas"]
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("a",)]
        assert database.execute("SELECT count(*) FROM orders WHERE shipped").fetchone() == (3,)


def test_the_command_line_says_which_app_it_wants(installed: Path, tmp_path: Path) -> None:
    nothing = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    ended = subprocess.run(
        [installed, "-m", "outbox.cli", "relay"],
        cwd=tmp_path,
        env=nothing,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "DULY_APP" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
