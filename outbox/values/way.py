"""Says where an error came from, and nothing of what it says."""

import traceback


def way(error: BaseException) -> str:
    """The files, lines and functions by which it came, the innermost last.

    For errors whose text may quote what somebody sent.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return "\n".join(f"{each.filename}:{each.lineno} in {each.name}" for each in frames)
