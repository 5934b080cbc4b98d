"""`python -m processor` is `asl`."""

from processor.apps.cli import main

main()
