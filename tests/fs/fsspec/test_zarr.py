"""zarr's own tests of stores, on ours; and arrays through zarr, xarray and dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.core.buffer import Buffer, cpu
from zarr.core.sync import sync
from zarr.storage import FsspecStore
from zarr.testing.store import StoreTests

from haulyard.fs import HaulFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.anyio
class TestStore(StoreTests[FsspecStore, cpu.Buffer]):
    store_cls = FsspecStore
    buffer_cls = cpu.Buffer

    @pytest.fixture
    def store_kwargs(
        self, fs: HaulFileSystem, options: dict[str, Any], bucket_name: Callable[[], str]
    ) -> dict[str, Any]:
        if not fs.exists("zarr"):
            fs.mkdir("zarr")
        return {
            "fs": HaulFileSystem(asynchronous=True, **options),
            "path": f"zarr/{bucket_name()}",
        }

    @pytest.fixture
    def store(self, open_kwargs: dict[str, Any]) -> FsspecStore:
        # Not awaited, as zarr's are: there are plain tests that want it.
        return sync(self.store_cls.open(**open_kwargs))

    @pytest.fixture
    def store_not_open(self, store_kwargs: dict[str, Any]) -> FsspecStore:
        return self.store_cls(**store_kwargs)

    async def set(self, store: FsspecStore, key: str, value: Buffer) -> None:
        await store.fs._pipe_file(f"{store.path}/{key}", value.to_bytes())

    async def get(self, store: FsspecStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes(await store.fs._cat_file(f"{store.path}/{key}"))

    def test_store_repr(self, store: FsspecStore) -> None:
        assert repr(store) == f"<FsspecStore(HaulFileSystem, {store.path})>"

    def test_store_supports_writes(self, store: FsspecStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: FsspecStore) -> None:
        assert store.supports_listing


@pytest.fixture
def url(fs: HaulFileSystem, bucket_name: Callable[[], str]) -> str:
    if not fs.exists("zarr"):
        fs.mkdir("zarr")
    return f"haul://zarr/{bucket_name()}"


def test_an_array_comes_back_from_zarr(url: str, options: dict[str, Any]) -> None:
    values = np.arange(10_000).reshape(100, 100)
    written = zarr.create_array(
        f"{url}/array", shape=values.shape, chunks=(10, 10), dtype=values.dtype, storage_options=options
    )
    written[:] = values
    read = zarr.open_array(f"{url}/array", mode="r", storage_options=options)
    assert np.array_equal(read[:], values)
    assert np.array_equal(read[35:42, 17:90], values[35:42, 17:90])


def test_parts_of_shards_are_read_by_ranges(url: str, options: dict[str, Any]) -> None:
    values = np.arange(10_000).reshape(100, 100)
    written = zarr.create_array(
        f"{url}/sharded",
        shape=values.shape,
        chunks=(10, 10),
        shards=(50, 50),
        dtype=values.dtype,
        storage_options=options,
    )
    written[:] = values
    read = zarr.open_array(f"{url}/sharded", mode="r", storage_options=options)
    assert np.array_equal(read[::20, ::20], values[::20, ::20])


def test_a_store_is_cleared_with_all_that_is_nested_in_it(url: str, options: dict[str, Any]) -> None:
    store = FsspecStore.from_url(url, storage_options=options)
    root = zarr.create_group(store)
    root.create_group("outer").create_array("inner", shape=(4,), chunks=(2,), dtype="i4")[:] = 1
    root.create_array("beside", shape=(4,), chunks=(2,), dtype="i4")[:] = 1
    sync(store.delete_dir("outer"))
    assert sorted(zarr.open_group(store, mode="r")) == ["beside"]


@pytest.mark.parametrize("consolidated", [True, False])
def test_a_dataset_comes_back_from_xarray(url: str, options: dict[str, Any], *, consolidated: bool) -> None:
    dataset = xarray.Dataset({"t": (("x", "y"), np.random.default_rng(1).random((20, 30)))})
    dataset.to_zarr(url, storage_options=options, consolidated=consolidated, zarr_format=2)
    read = xarray.open_zarr(url, storage_options=options, consolidated=consolidated)
    xarray.testing.assert_equal(read.load(), dataset)


def test_a_mapper_is_a_dictionary_of_objects(fs: HaulFileSystem, url: str) -> None:
    mapper = fs.get_mapper(url)
    mapper["a/b"] = b"1"
    mapper.setitems({"c": b"2", "d": b"3"})
    assert sorted(mapper) == ["a/b", "c", "d"]
    assert mapper.getitems(["a/b", "d"]) == {"a/b": b"1", "d": b"3"}
    del mapper["c"]
    assert "c" not in mapper
    with pytest.raises(KeyError):
        mapper["nothing"]
