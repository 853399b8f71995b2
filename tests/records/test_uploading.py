from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.records.uploading import upload_file
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

_CONTENT = bytes(range(256)) * 4096 * 11


@pytest.mark.parametrize("size", [0, 1000, len(_CONTENT)])
async def test_a_file_of_any_size_goes_into_a_directory_as_into_a_bucket(tmp_path: Path, size: int) -> None:
    path, options = tmp_path / "a.jsonl", TransferOptions(state_dir=str(tmp_path / "state"))
    path.write_bytes(_CONTENT[:size])
    bucket, directory = MemoryStore(), LocalStore(tmp_path / "out")
    for store in (bucket, directory):
        await upload_file(str(path), store, "to/b.jsonl", options=options)
    async with await bucket.get("to/b.jsonl") as reader:
        assert await reader.read() == _CONTENT[:size]
        assert reader.head.content_type
    assert (tmp_path / "out" / "to" / "b.jsonl").read_bytes() == _CONTENT[:size]
    assert list((tmp_path / "state").rglob("*.jsonl")) == []
