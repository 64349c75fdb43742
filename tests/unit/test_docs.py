"""The docs name what there is: every link, command, kind and file in them is looked up."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from outbox import Kind, Retry
from outbox.cli.main import commands
from outbox.operations.dead_letters import Reason
from outbox.store import transitions
from outbox.submission.submit import Options
from service.subjects import KINDS
from tests.support.ways import beside, stations

CHECKOUT = Path(__file__).parents[2]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", *CHECKOUT.glob("docs/**/*.md")]
TEXTS = {page: page.read_text() for page in PAGES}
README = TEXTS[CHECKOUT / "README.md"]

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
COMMAND = re.compile(r"(?:`|\$ |^)duly ([a-z]+)(?: ([a-z]+)\b(?! ?=))?", re.MULTILINE)
FILE = re.compile(
    r"\b(?:actors|dev|migrations|outbox|service|tests)/[\w/-]+(?:\.[\w-]+)*\.(?:py|md)\b"
)
NEW_FILE = re.compile(r"^# (\S+\.py)$", re.MULTILINE)


def each_page(test: Any) -> Any:
    return pytest.mark.parametrize(
        "page", PAGES, ids=[str(page.relative_to(CHECKOUT)) for page in PAGES]
    )(test)


def anchors(text: str) -> set[str]:
    """The `#...` of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_to_a_page_and_its_heading(page: Path) -> None:
    for path, anchor in LINK.findall(TEXTS[page]):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), path + anchor


@each_page
def test_every_command_exists(page: Path) -> None:
    there_are = typer.main.get_command(commands()).commands  # type: ignore[attr-defined]
    for name, inner in COMMAND.findall(TEXTS[page]):
        assert name in there_are, name
        subcommands = getattr(there_are[name], "commands", None)
        assert not (inner and subcommands) or inner in subcommands, f"{name} {inner}"


@each_page
def test_every_file_exists_unless_the_page_makes_it(page: Path) -> None:
    made = set(NEW_FILE.findall(TEXTS[page]))
    named = set(FILE.findall(TEXTS[page])) - made
    assert [name for name in sorted(named) if not (CHECKOUT / name).exists()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_named_in_the_readme_and_in_another_page(kind: str) -> None:
    naming = [page.name for page, text in TEXTS.items() if f"`{kind}`" in text]
    assert "README.md" in naming
    assert len(naming) > 1


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    page = TEXTS[CHECKOUT / "docs" / "operations.md"]
    table = page.split("## What each reason means")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(get_args(Reason))


def test_every_decision_is_in_the_index() -> None:
    index = TEXTS[CHECKOUT / "docs" / "README.md"]
    decisions = [page.name for page in PAGES if page.parent.name == "decisions"]
    assert [name for name in decisions if f"(decisions/{name})" not in index] == []


def test_no_two_decisions_have_the_same_number() -> None:
    numbers = [page.name[:4] for page in PAGES if page.parent.name == "decisions"]
    assert sorted(numbers) == sorted(set(numbers))


def test_every_step_that_changes_a_state_is_in_the_drawing_of_the_states() -> None:
    story = TEXTS[CHECKOUT / "docs" / "how-it-works.md"]
    drawn = set(re.findall(r"\b[A-Z_]+\b", story.split("stateDiagram")[1].split("```")[0]))
    changing = {name for name, sql in vars(transitions).items() if "SET state =" in str(sql)}
    assert drawn == changing | {"SUBMIT"}


@pytest.mark.parametrize(
    ("way", "files"), [("The way of a job", 15), ("The way of a failing attempt", 6)]
)
def test_a_way_through_the_code_has_few_files(way: str, files: int) -> None:
    """tests/integration/engine/test_ways.py compares them with what runs."""
    listed = stations(way)
    assert len(listed) == len(set(listed)) == files
    assert [file for file in (*listed, *beside()) if not (CHECKOUT / file).exists()] == []


def test_the_readme_lists_every_module_of_the_library() -> None:
    listed = README.split("\noutbox/")[1].split("\nservice/")[0]
    names = re.findall(r"^  ([a-z_]+)(?:/|\.py) ", listed, re.MULTILINE)
    library = CHECKOUT / "outbox"
    modules = {path.stem for path in library.glob("*.py")}
    packages = {path.parent.name for path in library.glob("*/__init__.py")}
    assert sorted(names) == sorted(packages | modules - {"__init__"})


def test_the_readmes_layers_are_those_that_import_linter_enforces() -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (each["layers"] for each in contracts["contracts"] if "containers" in each)
    assert "```text\n" + "\n".join(layers) + "\n```" in README


def test_the_tutorials_migration_follows_the_newest() -> None:
    newest = max(path.name[:4] for path in CHECKOUT.glob("migrations/versions/0*.py"))
    page = (CHECKOUT / "docs" / "tutorial.md").read_text()
    assert f'down_revision = "{newest}"' in page


def test_the_apps_page_has_all_that_a_kind_and_a_job_can_say() -> None:
    page = (CHECKOUT / "docs" / "your-app.md").read_text()
    section = page.partition("## What a kind and a job can say")[2].partition("\n## ")[0]
    said = [each.name for made in (Kind, Retry) for each in fields(made) if each.init]
    there_are = {*said, *Options.__annotations__} - {"name", "payload"}
    assert [each for each in sorted(there_are) if not re.search(rf"\b{each}\b", section)] == []
