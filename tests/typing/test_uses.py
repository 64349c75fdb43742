"""Both checkers read an app's code as its author's would: strict, with the installed library.

mypy runs twice: with pydantic's plugin, set as docs/your-app.md says, and without it.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tutorial

CHECKOUT = Path(__file__).parents[2]
USES = Path(__file__).parent / "uses"
PAGE = (CHECKOUT / "docs" / "your-app.md").read_text()
FILES = re.compile(r"```python\n# (shop/\w+\.py)\n(.*?)```", re.DOTALL)
PLUGIN = re.compile(r"```toml\n(\[tool\.mypy\]\n.*?)```", re.DOTALL)
EXPECTED = re.compile(r"  # ([a-z-]+), (report\w+)$")

Reports = list[tuple[str, int, str]]
"""File, line and rule of each error."""
Checker = Callable[[Path], Reports]
pytestmark = pytest.mark.timeout(600)  # a checker reads all of SQLAlchemy when it has no cache yet


def mypy(folder: Path, settings: str = "[tool.mypy]\n") -> Reports:
    """What mypy reports, in its strict mode and with the given settings."""
    (folder / "pyproject.toml").write_text(settings)
    cache = CHECKOUT / ".mypy_cache" / ("plugin" if "plugins" in settings else "plain")
    options = ["--strict", "--explicit-package-bases", "--cache-dir", str(cache)]
    command = ["-m", "mypy", *options, "--output", "json", "."]
    found = [json.loads(line) for line in _run(folder, command).splitlines() if line]
    errors = [each for each in found if each["severity"] == "error"]
    return [(each["file"], each["line"], each["code"]) for each in errors]


def mypy_with_plugin(folder: Path) -> Reports:
    """What it reports with pydantic's plugin, in the settings of docs/your-app.md."""
    (settings,) = PLUGIN.findall(PAGE)
    return mypy(folder, settings)


def pyright(folder: Path) -> Reports:
    """What pyright reports, in its strict mode."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    options = ["--pythonpath", sys.executable, "--project", str(folder), "--outputjson"]
    found = json.loads(_run(folder, ["-m", "basedpyright", *options]))["generalDiagnostics"]
    return [
        (
            str(Path(each["file"]).relative_to(folder)),
            each["range"]["start"]["line"] + 1,
            each["rule"],
        )
        for each in found
        if each["severity"] == "error" and each["rule"] not in STYLE
    ]


STYLE = ("reportUnusedExpression",)
"""What wrong.py does on purpose."""
CHECKERS = (mypy, mypy_with_plugin, pyright)


def _run(folder: Path, command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("check", CHECKERS)
def test_right_uses_and_the_docs_app_pass_and_each_wrong_use_is_reported(
    check: Checker, tmp_path: Path
) -> None:
    """In one folder: what a checker does takes most of its time before it reads the first file."""
    shutil.copy(USES / "right.py", tmp_path)
    lines = Path(shutil.copy(USES / "wrong.py", tmp_path)).read_text().splitlines()
    (tmp_path / "shop").mkdir()
    for name, source in FILES.findall(PAGE):
        (tmp_path / name).write_text(source)
    assert (tmp_path / "shop" / "actors.py").exists()
    expected = {
        ("wrong.py", number, found[2 if check is pyright else 1])
        for number, line in enumerate(lines, start=1)
        if (found := EXPECTED.search(line))
    }

    reported = set(check(tmp_path))

    assert {each for each in reported if each[0] != "wrong.py"} == set()
    assert expected - reported == set()
    assert sorted({line for _, line, _ in reported}) == sorted({line for _, line, _ in expected})


@pytest.mark.parametrize("check", [mypy_with_plugin, pyright])  # as the service is checked
def test_what_the_tutorial_makes_passes(check: Checker, tmp_path: Path) -> None:
    tutorial.write(tmp_path, "actors", "service")
    made = [each for each in check(tmp_path) if each[0] in tutorial.FILES]
    assert made == []
