"""The code in docs/when-to-use-what.md is what `make compare` runs."""

import re
from pathlib import Path

from tests.compare.contenders import ALL
from tests.compare.questions import QUESTIONS

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "when-to-use-what.md").read_text()
BLOCKS = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL)


def test_its_code_is_the_code_of_the_systems() -> None:
    assert len(BLOCKS) == 4
    for name, source in BLOCKS:
        assert source == (CHECKOUT / name).read_text(), name


def test_its_table_has_every_system_and_every_question() -> None:
    assert f"|  | {' | '.join(contender.name for contender in ALL)} |" in PAGE
    for title, _ in QUESTIONS.values():
        assert f"| {title} | " in PAGE
