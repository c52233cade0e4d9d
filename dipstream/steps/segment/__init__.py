"""The segment steps."""
