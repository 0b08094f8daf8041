"""Lets `python -m gateway.cli` be the command `edgewright`."""

from gateway.cli import main

main()
