"""The track steps."""
