"""The measure steps."""
