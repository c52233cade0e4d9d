"""What a block of benchmarks found, as a table for people and as JSON for programs."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

__all__ = ["NOT_INSTALLED", "Block", "show"]

NOT_INSTALLED = "not installed"
"""In place of a figure whose library is absent."""


@dataclass(frozen=True, slots=True)
class Block:
    """One table.

    Attributes
    ----------
    title
        What was measured, and how.
    columns
        Keys of the rows with their headings; a row may hold more, for JSON.
    rows
        Figures and texts. What is absent or None was not measured.
    notes
        Sentences below the table.
    """

    title: str
    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {
            "title": self.title,
            "columns": dict(self.columns),
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
        }


def show(block: Block, stream: TextIO = sys.stdout) -> None:
    """Print a block: with lines and colours to a terminal, as aligned plain text elsewhere."""
    cells = [[_cell(row.get(key)) for key in block.columns] for row in block.rows]
    if stream.isatty():
        _show_rich(block, cells, stream)
    else:
        _show_plain(block, cells, stream)
    stream.flush()


def _show_rich(block: Block, cells: list[list[str]], stream: TextIO) -> None:
    table = Table(title=block.title, title_justify="left")
    for number, heading in enumerate(block.columns.values()):
        table.add_column(heading, justify="right" if number else "left")
    for row in cells:
        table.add_row(*row)
    console = Console(file=stream)
    console.print(table)
    for note in block.notes:
        console.print(note, style="dim", markup=False)
    console.print()


def _show_plain(block: Block, cells: list[list[str]], stream: TextIO) -> None:
    lines = [list(block.columns.values()), *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(block.title, file=stream)
    for line in lines:
        first, *others = zip(line, widths, strict=True)
        aligned = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        print("  " + "  ".join(aligned).rstrip(), file=stream)
    for note in block.notes:
        print(f"  {note}", file=stream)
    print(file=stream)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
