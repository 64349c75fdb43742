"""The app of docs/your-app.md, run from an installed wheel outside of the checkout.

The app has packages called `service`, `actors` and `migrations` of its own. The page's commands are
run as they are, and what they print is compared with what the page shows.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from dev import sqlalchemy20
from dev.install import install
from dev.ports import free_port
from dev.private import home
from dev.wait import wait_until
from tests.support.wait import wait_for

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "your-app.md").read_text()
FILES = re.compile(r"```python\n# (shop/\w+\.py)\n(.*?)```", re.DOTALL)
STEPS = re.compile(r"```(sh|console)\n(.*?)```", re.DOTALL)
HOST = "127.0.0.1:8000"
VARYING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\d [\d:]{8}Z| +")
OWN = ("service", "actors", "migrations")
Environment = dict[str, str]


@pytest.fixture(scope="module", params=["locked", pytest.param("lowest", marks=pytest.mark.slow)])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and of all else only what the wheel asks for.

    It has the locked SQLAlchemy, or the lowest that the wheel allows.
    """
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
    packages = [sysconfig.get_path("purelib")]
    if request.param == "lowest":
        packages.insert(0, str(sqlalchemy20.folder(home() / "sqlalchemy20")))
    (site / "dependencies.pth").write_text("\n".join(packages))
    assert (site / "outbox" / "py.typed").exists()
    ask = [str(python), "-c", "import sqlalchemy; print(sqlalchemy.__version__)"]
    has_2_0 = subprocess.check_output(ask, text=True).startswith("2.0.")
    assert has_2_0 == (request.param == "lowest")
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
def environment(installed: Path, empty_database_url: str, amqp_url: str) -> Environment:
    """As the page exports it. The database has an alembic_version of the app's own."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE alembic_version (version_num text);"
            "INSERT INTO alembic_version VALUES ('a')"
        )
    return os.environ | {
        "PATH": f"{installed.parent}:{os.environ['PATH']}",
        "DATABASE_URL": empty_database_url,
        "AMQP_URL": amqp_url,
        "DULY_APP": "shop.jobs:duly",
    }


@pytest.fixture
def api(installed: Path, shop: Path, environment: Environment) -> Iterator[str]:
    """The app's address; its relay and worker run, too."""
    for command in (("outbox.cli", "migrate"), ("shop.models",)):
        subprocess.run([installed, "-m", *command], cwd=shop, env=environment, check=True)
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


@pytest.fixture
def bash(shop: Path, environment: Environment, api: str) -> Callable[[str], str]:
    """Runs commands of the page, at the app's address, and returns what they print."""

    if not shutil.which("curl"):
        install("curl")

    def run(commands: str) -> str:
        script = commands.replace(f"http://{HOST}", api)
        call = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.check_output(call, cwd=shop, env=environment, text=True)

    return run


def without_varying(text: str) -> str:
    """The text without ids, moments and the width of columns."""
    return VARYING.sub(" ", text)


def check(bash: Callable[[str], str], transcript: str) -> None:
    """Fail if the commands of a transcript do not print what it shows, now or a moment later."""
    commands = [line[2:] for line in transcript.splitlines() if line.startswith("$ ")]
    shown = without_varying(transcript)

    def printed() -> str:
        return without_varying("".join(f"$ {each}\n{bash(each)}" for each in commands))

    wait_until(lambda: printed() == shown, 30)
    assert printed() == shown


def test_the_page_submits_jobs_that_fail_and_replays_them_by_command_and_over_http(
    bash: Callable[[str], str], environment: Environment, api: str
) -> None:
    steps = STEPS.findall(PAGE.split("\n## 6. ")[1].split("\n## ")[0])
    for sort, commands in steps:
        if sort == "sh":
            bash(commands)
        else:
            check(bash, commands)
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as database:
        closed = database.execute("SELECT closed_by FROM duly.dead_letters ORDER BY id").fetchall()
        assert [by.split(" ")[0] for (by,) in closed] == ["ada", "ops"]
        assert database.execute("SELECT count(*) FROM orders WHERE shipped").fetchone() == (3,)
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("a",)]


def test_links_and_problems_have_the_prefix(bash: Callable[[str], str], api: str) -> None:
    job = httpx2.post(f"{api}/orders", params={"address": ""}).json()["job"]
    key = bash("duly keys create --name ops --scopes read").strip()
    with httpx2.Client(base_url=api, headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.get(job).json()["links"]["self"] == job
        bad = client.get("/ops/v1/jobs/no-uuid").json()
        assert bad["type"] == "/ops/problems/validation"
        assert client.get(bad["type"]).json()["status"] == 422
        described = client.get("/openapi.json").json()
    assert "ProblemBody" in described["components"]["schemas"]


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
