"""Whom the settings of a bucket are asked of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.s3 import aws
from haulyard.s3.endpoint import EndpointConfig
from haulyard.stores.bucket_settings import BucketSettings

if TYPE_CHECKING:
    from haulyard.s3.aws import AwsTarget

pytestmark = pytest.mark.anyio


class Connection:
    """To AWS, where a bucket is found to lie elsewhere."""

    endpoint = EndpointConfig(region="us-east-1")
    settings = SimpleNamespace(ca_bundle="", verify_ssl=True)

    def __init__(self) -> None:
        self.client = self
        self.regions: dict[str, str] = {}

    async def head_bucket(self, bucket: str) -> None:
        self.regions[bucket] = "eu-north-1"

    async def current_credentials(self) -> None:
        """Nobody's."""


async def test_a_bucket_of_aws_is_asked_in_its_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[AwsTarget] = []

    async def versioning(target: AwsTarget, _: str) -> str:
        asked.append(target)
        return "Enabled"

    monkeypatch.setattr(aws, "get_bucket_versioning", versioning)
    connection: Any = Connection()
    assert await BucketSettings(connection, "b").versioning() == "Enabled"
    assert [target.endpoint.region for target in asked] == ["eu-north-1"]
