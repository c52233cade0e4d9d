"""The correct steps."""
