"""Conditions on rows, as SQL or as expressions of Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow.compute as pc

    #: ``"dep_delay > 60 AND origin = 'JFK'"``, or an expression of Arrow.
    Where = str | pc.Expression
