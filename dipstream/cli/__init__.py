"""The command line."""

from dipstream.cli.app import app, main

__all__ = ["app", "main"]
