"""A conformance suite for Stores: the contract of `haulyard.stores.base`, as tests.

Derive from `StoreSuite` in a test module, override the fixture ``store``, and pytest runs the rest::

    from haulyard.testing.store_suite import StoreSuite

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

The tests are coroutines, run by anyio's pytest plugin, which comes with anyio. Every test writes below a
prefix of its own, so that a store may be shared. What a store declares (`Capabilities`) has to work; what it
declares not to have has to be refused with Unsupported; what it calls unproved (None) is not tested.

Two knobs, for servers that are known to fall short of S3:

- ``flat_keys = False``: keys are kept as paths, so that ``a//b`` or ``a`` beside ``a/b`` cannot be.
- ``checks_checksums = False``: content with a wrong checksum is accepted.

A second fixture, ``versioned_store``, gives a store that keeps versions; without it those tests are skipped.
"""

from __future__ import annotations

import pytest

from haulyard.testing._suite_conditions import ConditionSuite
from haulyard.testing._suite_extras import CopySuite, ExtrasSuite
from haulyard.testing._suite_listing import ListingSuite
from haulyard.testing._suite_multipart import MultipartSuite
from haulyard.testing._suite_objects import ObjectSuite


@pytest.mark.anyio
class StoreSuite(ObjectSuite, ConditionSuite, ListingSuite, MultipartSuite, CopySuite, ExtrasSuite):
    """All of the contract."""


__all__ = ["StoreSuite"]
