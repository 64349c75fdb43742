"""Finds NUL, which Postgres stores in no text and no JSON."""


def is_in_json(text: str) -> bool:
    """Whether a string in this JSON contains NUL. A doubled backslash escapes none."""
    return "\\u0000" in text and "\\u0000" in text.replace("\\\\", "")
