"""NUL, which Postgres keeps in no text and no JSON."""


def is_in_json(text: str) -> bool:
    """Whether a string in this JSON has one: a backslash that is itself escaped begins none."""
    return "\\u0000" in text and "\\u0000" in text.replace("\\\\", "")
