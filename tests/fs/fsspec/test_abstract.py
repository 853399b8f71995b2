"""fsspec's own tests of filesystems, all of them, on both servers."""

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


class _Fixtures(AbstractFixtures):  # type: ignore[misc]  # fsspec has no types
    @pytest.fixture(params=["seaweedfs", "moto"])
    def fs(self, request: pytest.FixtureRequest) -> HaulFileSystem:
        name = {"seaweedfs": "options", "moto": "moto_options"}[request.param]
        return HaulFileSystem(**request.getfixturevalue(name))

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join

    @pytest.fixture
    def fs_path(self, fs: HaulFileSystem, bucket_name: Callable[[], str]) -> str:
        # A bucket for each test takes longer than most of them.
        fs.makedirs("abstract", exist_ok=True)
        return f"abstract/{bucket_name()}"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(_Fixtures, AbstractCopyTests):  # type: ignore[misc]  # as above
    pass


class TestGet(_Fixtures, AbstractGetTests):  # type: ignore[misc]  # as above
    pass


class TestPut(_Fixtures, AbstractPutTests):  # type: ignore[misc]  # as above
    pass


class TestOpen(_Fixtures, AbstractOpenTests):  # type: ignore[misc]  # as above
    pass


class TestPipe(_Fixtures, AbstractPipeTests):  # type: ignore[misc]  # as above
    pass
