"""Text that commands no terminal, whoever wrote it."""


def plain(text: str) -> str:
    r"""The text with everything that a terminal may obey written out, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def plain_lines(text: str) -> str:
    """The same of a text that may have several lines."""
    return "\n".join(map(plain, text.split("\n")))
