"""The command line `duly`: its processes, migrations, and the commands for people.

Read main, then commands (one module per command or group). They use app, database, errors and
person, print with terminal, replay or discard dead letters with dead_letters, and follow a job with
watch.
"""

from outbox.cli.exit import exit_on_sigterm


def main() -> None:
    """Run the command named in `sys.argv`, and exit with one of `errors.Code`."""
    exit_on_sigterm()  # before the imports, which take half a second
    from outbox.cli.main import run

    run()
