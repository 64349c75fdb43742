"""What docs/your-app.md says about Alembic, in a folder that `alembic init` makes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import psycopg
import pytest
from psycopg import sql

from outbox.migrations import LATEST
from outbox.postgres.address import sqlalchemy_url

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "your-app.md").read_text()
MODELS = re.findall(r"```python\n# shop/models.py\n(.*?)```", PAGE, re.DOTALL)[0]
REVISION = re.findall(r"```python\n(from alembic import op\n.*?)```", PAGE, re.DOTALL)[0]
CONFIGURE = re.findall(r"```python\n# migrations/env.py\n(.*?)```", PAGE, re.DOTALL)[0]
BLOCK = re.findall(r"`(with op\..*?autocommit_block\(\):)`", PAGE)[0]
NOTHING = "No new upgrade operations detected."
ONLINE = re.compile(
    r"        context\.configure\(\n            connection=.*?\n        \)\n", re.DOTALL
)
HEAD = 'revision = "{number}"\ndown_revision = {before!r}\n{body}'
ORDERS = """
from alembic import op
def upgrade():
    op.execute("CREATE TABLE orders (id serial PRIMARY KEY, address varchar NOT NULL,"
               " shipped boolean NOT NULL)")
"""


class Alembic:
    """The command `alembic` in an app's folder."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        (folder / "models.py").write_text(MODELS)
        assert self("init", "migrations").returncode == 0
        ini = folder / "alembic.ini"
        url = sqlalchemy_url(database_url).render_as_string(hide_password=False)
        ini.write_text(
            re.sub("(?m)^sqlalchemy.url = .*", f"sqlalchemy.url = {url}", ini.read_text())
        )
        self.edit(
            "target_metadata = None",
            "from outbox import migrations\n"
            "from models import Base\n"
            "target_metadata = Base.metadata",
        )
        self.revision(1, ORDERS)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def configure(self, arguments: str) -> None:
        """Give env.py this call, in the function that runs with a database."""
        (call,) = ONLINE.findall(self._env().read_text())
        self.edit(call, indent(arguments, " " * 8))

    def edit(self, old: str, new: str) -> None:
        """Change env.py."""
        text = self._env().read_text()
        assert old in text
        self._env().write_text(text.replace(old, new))

    def _env(self) -> Path:
        return self.folder / "migrations" / "env.py"

    def revision(self, number: int, body: str) -> None:
        """Write a revision, which comes after the one before."""
        before = str(number - 1) if number > 1 else None
        file = self.folder / "migrations" / "versions" / f"{number}.py"
        file.write_text(HEAD.format(number=number, before=before, body=body))


@pytest.fixture
def alembic(tmp_path: Path, empty_database_url: str) -> Alembic:
    search(empty_database_url, "public")
    return Alembic(tmp_path, empty_database_url)


def search(database_url: str, path: str) -> None:
    """Give new sessions this search_path, whatever the role is called."""
    with psycopg.connect(database_url, autocommit=True) as database:
        name = sql.Identifier(database.info.dbname)
        command = sql.SQL("ALTER DATABASE {} SET search_path = ").format(name)
        database.execute(command + sql.SQL(path))


@pytest.mark.parametrize(
    ("path", "more"),
    [("public", ""), ("public", "    include_schemas=True,\n"), ("duly, public", "")],
)
def test_autogenerate_proposes_nothing_for_the_librarys_tables(
    alembic: Alembic, empty_database_url: str, path: str, more: str
) -> None:
    alembic.revision(2, REVISION)
    upgraded = alembic("upgrade", "head")
    assert upgraded.returncode == 0, upgraded.stderr
    search(empty_database_url, path)
    alembic.configure(CONFIGURE.replace("    include_object", f"{more}    include_object"))
    checked = alembic("check")
    assert NOTHING in checked.stdout, checked.stderr


def test_autogenerate_still_proposes_to_drop_what_is_the_apps(alembic: Alembic) -> None:
    alembic.configure(CONFIGURE)
    alembic.revision(2, REVISION + '    op.execute("CREATE TABLE public.jobs (id int, pay int)")\n')
    assert alembic("upgrade", "head").returncode == 0
    checked = alembic("check").stderr
    assert "Detected removed table 'jobs'" in checked
    assert checked.count("Detected removed") == 1


def test_a_version_that_builds_indexes_asks_for_an_autocommit_block(
    alembic: Alembic, empty_database_url: str
) -> None:
    shutil.copytree(CHECKOUT / "outbox", alembic.folder / "outbox")
    versions = alembic.folder / "outbox" / "migrations" / "sql"
    (versions / f"{LATEST + 1:04}_test.indexes.sql").write_text(
        "CREATE INDEX CONCURRENTLY test_by_kind ON duly.jobs (kind, id);"
    )
    (versions / f"{LATEST + 2:04}_test.up.sql").write_text("SELECT 'later', '%';")
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        alembic.revision(2, REVISION)
        assert alembic("upgrade", "head").returncode == 0, "new tables get their indexes at once"
        revision = REVISION.replace(str(LATEST), str(LATEST + 2))
        alembic.revision(3, revision)
        refused = alembic("upgrade", "head")
        assert f"version {LATEST + 1} of Duly's tables builds indexes" in refused.stderr
        assert BLOCK in refused.stderr
        version = "SELECT max(version) FROM duly.migrations"
        assert database.execute(version).fetchone() == (LATEST,)

        call = f"    migrations.upgrade(op.get_bind(), {LATEST + 2})\n"
        assert call in revision
        alembic.revision(3, revision.replace(call, f"    {BLOCK}\n    {call}"))
        done = alembic("upgrade", "head")
        assert done.returncode == 0, done.stderr
        assert database.execute(version).fetchone() == (LATEST + 2,)
        assert database.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'duly.test_by_kind'::regclass"
        ).fetchone() == (True,)
