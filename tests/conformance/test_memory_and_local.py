"""The stores that need no server pass the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.testing.store_suite import StoreSuite

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.stores.base import Store


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def versioned_store(self) -> Store:
        return MemoryStore(versioned=True)


class TestVersionedMemoryStore(StoreSuite):
    """Versions change nothing for those who do not ask for them."""

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(versioned=True)


class TestLocalStore(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path)


class TestLocalStoreWithoutLinks(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path, follow_symlinks=False)
