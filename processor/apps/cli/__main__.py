"""`python -m processor.apps.cli` is `asl`."""

from processor.apps.cli import main

main()
