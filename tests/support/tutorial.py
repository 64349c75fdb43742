"""What docs/tutorial.md makes of a copy of the service."""

import re
import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "tutorial.md").read_text()
FILES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL))
"""The source of each new file, by its path."""
DIFFS: list[str] = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)


def write(folder: Path, *packages: str) -> None:
    """Copy these packages to the folder, and change them as the page says."""
    for package in packages:
        shutil.copytree(CHECKOUT / package, folder / package)
    for name, source in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    for diff in DIFFS:
        _apply(diff, folder)


def _apply(diff: str, folder: Path) -> None:
    """Pipe the diff to `git apply`, as the page says."""
    done = subprocess.run(
        ["git", "apply"], cwd=folder, input=diff, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}{diff}"
