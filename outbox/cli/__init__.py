"""The management command `duly`. Its commands are in `outbox.cli.main`."""

from outbox.cli.ending import die_of_sigterm


def main() -> None:
    """Run the command that the process was started with, and exit with one of `errors.Code`."""
    die_of_sigterm()  # before the imports, which take half a second
    from outbox.cli.main import run

    run()
