"""The chapter of `haul demo` on data frames: pandas and pyarrow read what was uploaded, through fsspec."""

from __future__ import annotations

import os
import time
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.cli.demo_files import options_of
from haulyard.cli.detached import detached
from haulyard.cli.playbill import Step
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from haulyard.cli.demo_telling import Telling

#: Files that the rows are written to as Parquet.
_FILES: Final = 4
_NEEDED: Final = {"fsspec": "'haulyard[fs]'", "pandas": "pandas", "pyarrow": "pyarrow"}


class Read(NamedTuple):
    """What a reader found: rows, bytes, the seconds that it took, and whether all is as it is locally."""

    rows: int
    size: int
    seconds: float
    is_same: bool


class DataFrames:
    """Its steps, told by ``telling``; ``url`` ends in a slash."""

    def __init__(self, telling: Telling, url: str) -> None:
        self._telling = telling
        self._place = url.removeprefix("s3://")

    async def perform(self, large: str) -> str:
        """Read ``large``, which is uploaded, and return the verdict; ``""`` where something is not installed.

        Raises:
            TransferError: What was read is not what there is locally.
        """
        telling = self._telling
        if missing := [name for name in _NEEDED if find_spec(name) is None]:
            wanted = " ".join(_NEEDED[name] for name in missing)
            telling.say(f"data frames  skipped, {' and '.join(missing)} not installed: pip install {wanted}")
            return ""
        local, below = (large, "large") if large.endswith(".csv") else ("lines.csv", "records")
        url = f"haul://{self._place}{below}/{os.path.basename(local)}"
        options = options_of(telling)
        telling.say(f'>>> frame = pandas.read_csv("{url}")')
        read = await detached(partial(_with_pandas, local, url, options))
        self._show("read by pandas", read, "the same as of the local file")
        target = f"{self._place}frames"
        telling.say(f'>>> frame.to_parquet("haul://{target}/part-0.parquet")  # and {_FILES - 1} more')
        telling.say(f'>>> pyarrow.dataset.dataset("haul://{target}").to_table()')
        read = await detached(partial(_with_pyarrow, local, target, options))
        self._show("write and read Parquet", read, f"the same out of {_FILES} files")
        return f"{read.rows:,} rows came through fsspec to pandas and pyarrow as they are in the local file."

    def _show(self, name: str, read: Read, remark: str) -> None:
        if not read.is_same:
            raise TransferError(f"{name}: what came through haul:// is not what the local file holds")
        self._telling.show(Step(name, 1, read.size, read.seconds, remark=f"{read.rows:,} rows, {remark}"))


def _with_pandas(local: str, url: str, options: dict[str, Any]) -> Read:
    import pandas as pd  # half a second

    started = time.monotonic()
    frame = pd.read_csv(url, storage_options=options)
    seconds = time.monotonic() - started
    return Read(len(frame), os.path.getsize(local), seconds, frame.equals(pd.read_csv(local)))


def _with_pyarrow(local: str, target: str, options: dict[str, Any]) -> Read:
    import pandas as pd
    from pyarrow import dataset

    from haulyard.fs import HaulFileSystem

    frame = pd.read_csv(local)
    started = time.monotonic()
    rows = -(-len(frame) // _FILES)
    for number in range(_FILES):
        part = frame.iloc[number * rows : (number + 1) * rows]
        part.to_parquet(f"haul://{target}/part-{number}.parquet", storage_options=options, index=False)
    filesystem = HaulFileSystem(**options)
    table = dataset.dataset(target, filesystem=filesystem).to_table()
    seconds = time.monotonic() - started
    size = filesystem.du(target)
    filesystem.close()
    return Read(table.num_rows, size, seconds, table.to_pandas().equals(frame))
