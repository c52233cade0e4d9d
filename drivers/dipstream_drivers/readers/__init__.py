"""File formats, and which of them reads a path."""

from dipstream_drivers.readers.choose import reader_for, readers

__all__ = ["reader_for", "readers"]
