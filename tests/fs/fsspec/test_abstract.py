"""fsspec's own tests of filesystems: all of them on the embedded store, and most on moto, which is slow."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from haulyard.fs import HaulFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable


class _OnSeaweedfs(AbstractFixtures):  # type: ignore[misc]  # fsspec has no types
    @pytest.fixture
    def fs(self, options: dict[str, Any]) -> HaulFileSystem:
        return HaulFileSystem(**options)

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join

    @pytest.fixture
    def fs_path(self, fs: HaulFileSystem, bucket_name: Callable[[], str]) -> str:
        # A bucket for each test takes longer than most of them.
        if not fs.exists("abstract"):
            fs.mkdir("abstract")
        return f"abstract/{bucket_name()}"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class _OnMoto(_OnSeaweedfs):
    @pytest.fixture
    def fs(self, moto_options: dict[str, Any]) -> HaulFileSystem:
        return HaulFileSystem(**moto_options)


class TestCopy(_OnSeaweedfs, AbstractCopyTests):  # type: ignore[misc]  # as above
    pass


class TestGet(_OnSeaweedfs, AbstractGetTests):  # type: ignore[misc]  # as above
    pass


class TestPut(_OnSeaweedfs, AbstractPutTests):  # type: ignore[misc]  # as above
    pass


class TestOpen(_OnSeaweedfs, AbstractOpenTests):  # type: ignore[misc]  # as above
    pass


class TestPipe(_OnSeaweedfs, AbstractPipeTests):  # type: ignore[misc]  # as above
    pass


class TestCopyOnMoto(_OnMoto, AbstractCopyTests):  # type: ignore[misc]  # as above
    # Thirty patterns, whose matching is no matter of the server.
    test_copy_glob_edge_cases = None


class TestGetOnMoto(_OnMoto, AbstractGetTests):  # type: ignore[misc]  # as above
    test_get_glob_edge_cases = None


class TestPutOnMoto(_OnMoto, AbstractPutTests):  # type: ignore[misc]  # as above
    test_put_glob_edge_cases = None


class TestOpenOnMoto(_OnMoto, AbstractOpenTests):  # type: ignore[misc]  # as above
    pass


class TestPipeOnMoto(_OnMoto, AbstractPipeTests):  # type: ignore[misc]  # as above
    pass
