"""Values that not every mirror can keep."""

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["without_nul"]


def without_nul(rows: pa.Table) -> pa.Table:
    """Return rows whose texts PostgreSQL can keep: it has no character 0."""
    for i, one in enumerate(rows.schema):
        if pa.types.is_string(one.type):
            texts = rows.column(i)
            if pc.any(pc.match_substring(texts, "\0")).as_py():
                rows = rows.set_column(i, one, pc.replace_substring(texts, "\0", "�"))
    return rows
