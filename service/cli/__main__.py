"""`python -m service.cli` is `duly`."""

from service.cli import main

main()
