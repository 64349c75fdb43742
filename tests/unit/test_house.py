"""The house stays readable: few and short modules in a folder, which says what it is for."""

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FOLDERS = sorted(
    {
        file.parent
        for top in ("outbox", "service", "actors")
        for file in (CHECKOUT / top).rglob("*.py")
    }
)
MOST_MODULES = 14
LONGEST_MODULE = 350


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(CHECKOUT)))
def test_a_folder_has_few_short_modules_and_says_what_it_is_for(folder: Path) -> None:
    modules = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES
    assert [each.name for each in modules if each.read_text().count("\n") > LONGEST_MODULE] == []
    doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert len((doc or "").split()) > 2
