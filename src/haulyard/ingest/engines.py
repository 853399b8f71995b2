"""The engines that parse, imported in a thread while the first bytes are under way.

pyarrow with its functions takes 0.1 to 0.2 s: as long as a file of 31 MB takes to come, and the loop would
receive nothing meanwhile.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from haulyard.records.reading_streams import in_thread

TEXT: Final = "haulyard.ingest.text"
PARQUET: Final = "pyarrow.parquet"

_imported: set[str] = set()


async def imported(name: str) -> None:
    """Import a module without keeping the loop from its work."""
    if name not in _imported:
        # Several may wait here; Python sees to it that one of them imports it.
        await in_thread(lambda: import_module(name))
        _imported.add(name)
