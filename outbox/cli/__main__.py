"""`python -m outbox.cli` is `duly`."""

from outbox.cli import main

main()
