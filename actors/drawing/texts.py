"""Texts of others, made ready to be drawn: whatever script, whatever length."""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from unicodedata import bidirectional, category

UNKNOWN = "\ufffd"
"""Drawn in place of a character that is no text."""
LONGEST_WORD = 24
PIECE = 6
"""Characters of a longer word that are kept on one line."""
BREAK = "\u200b"
"""A line may end here."""
JOINERS = "\u200d\u200c"
WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
KOREAN = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
JAPANESE = re.compile("[\u3040-\u30ff\uff66-\uff9f]")


def text(value: str) -> dict[str, Any]:
    """What a template draws by `say`: the text, and whether it begins at the right."""
    shown = WORD.sub(_breakable, "".join(map(_visible, " ".join(value.split()))))
    return {"text": shown, "rtl": _begins_at_the_right(shown)}


def shortened(value: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return value if len(value) <= longest else f"{value[: longest - 1].rstrip()}…"


def han_font(values: Iterable[str]) -> str:
    """The font in which these texts have the shapes of Chinese characters that their readers know.

    The same character is written otherwise in Japan and Korea. Kana or Hangul tell; else it is the
    Chinese font, which has all of them, too.
    """
    found = "".join(values)
    if JAPANESE.search(found):
        return "Noto Sans CJK JP"
    return "Noto Sans CJK KR" if KOREAN.search(found) else "Noto Sans CJK SC"


def _visible(character: str) -> str:
    return UNKNOWN if category(character) in ("Cc", "Cs") else character


def _begins_at_the_right(value: str) -> bool:
    """As the first letter does that has a direction (rules P2 and P3 of Unicode's UAX 9)."""
    directions = (bidirectional(each) for each in value)
    return next((each for each in directions if each in ("L", "R", "AL")), "L") != "L"


def _breakable(word: re.Match[str]) -> str:
    return BREAK.join(_pieces(word.group()))


def _pieces(word: str) -> Iterator[str]:
    """Pieces of a word. No accent is cut off its letter, and nothing is cut that is joined."""
    start = 0
    for place in range(1, len(word)):
        joined = category(word[place]).startswith("M") or word[place - 1] in JOINERS
        if place - start >= PIECE and not joined and word[place] not in JOINERS:
            yield word[start:place]
            start = place
    yield word[start:]
