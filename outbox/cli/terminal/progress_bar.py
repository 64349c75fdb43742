"""How far a job is, on one line."""

import shutil
import sys

import typer

from outbox.cli.terminal.text import as_text, first_line
from outbox.operations.progress import ProgressRecord

BAR = 20
"""Characters of the bar."""
CLEAR = "\r\x1b[K"


def progress_text(progress: ProgressRecord) -> str:
    """A bar, what is done of what, the note, and the estimated end."""
    parts = [f"{progress.done:,} done", progress.note, None]
    if progress.share is not None:
        filled = int(progress.share * BAR)
        bar = f"[{'#' * filled}{'-' * (BAR - filled)}] {int(progress.share * 100)} %"
        parts[0] = f"{bar}  {progress.done:,} of {progress.total:,}"
    if progress.ends_at:
        parts[2] = f"ends about {as_text(progress.ends_at)}"
    return first_line("  ".join(filter(None, parts))).plain


class ProgressLine:
    """Prints lines, and below them how far the job is: on a terminal in place, else as lines."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._shown: ProgressRecord | None = None
        self._is_drawn = False

    def print(self, line: str) -> None:
        """Print a line of its own."""
        self.end()
        typer.echo(line)

    def show(self, progress: ProgressRecord) -> None:
        """Draw the bar if it has changed."""
        if progress == self._shown:
            return
        self._shown = progress
        text = progress_text(progress)
        if self._is_terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            typer.echo(f"{CLEAR}{text}", nl=False)
            self._is_drawn = True
        else:
            typer.echo(text)

    def end(self) -> None:
        """Leave the bar as it is, and go on below it."""
        if self._is_drawn:
            typer.echo()
            self._is_drawn = False
