"""The published file as a page reads it: one publication for all of its figures, never two."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pandas as pd
import streamlit as st

from orchestration.readers import literal

# Results of questions, of all sessions together; a new publication has new ones.
KEPT_RESULTS = 2000


class Published:
    """The file that is published when this is opened; it stays that one until it is closed.

    Attached to a database of its own: DuckDB would hand a second reader of the same path the file that was replaced.
    """

    def __init__(self, file: Path) -> None:
        self._connection = duckdb.connect()
        self._connection.execute(f"attach {literal(file)} as published (read_only)")
        self._connection.execute("use published")
        [row] = self._connection.execute("select publication_id, published_at from quality.publication").fetchall()
        self.publication_id: str = row[0]
        self.published_at: pd.Timestamp = pd.Timestamp(row[1])

    def __enter__(self) -> Published:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def rows(self, query: str, **parameters: Any) -> pd.DataFrame:
        """The rows of a query with $named parameters; decimals are floats, and what is empty is NaN or None.

        Raises:
            duckdb.CatalogException: the file was published by a version of the code that had no such table.
        """
        return _rows(self._connection, self.publication_id, query, parameters)


@st.cache_data(max_entries=KEPT_RESULTS, show_spinner=False)
def _rows(
    _connection: duckdb.DuckDBPyConnection, publication_id: str, query: str, parameters: dict[str, Any]
) -> pd.DataFrame:
    return _connection.execute(query, parameters or None).df()
