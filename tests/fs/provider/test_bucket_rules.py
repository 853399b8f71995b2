"""Lifecycle, policy and CORS of the bucket, on both servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard import Client
from haulyard.errors import ConfigError, NotFound, S3PermissionError, Unsupported
from haulyard.fs import SyncS3Provider
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio

RULE: dict[str, Any] = {
    "ID": "logs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "Expiration": {"Days": 30},
}
CORS: dict[str, Any] = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]}


def policy(bucket: str) -> dict[str, Any]:
    statement = {
        "Sid": "read",
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(params=["on_seaweedfs", "on_moto"])
def whole(request: pytest.FixtureRequest, opened: Open) -> S3Provider:
    """A provider of all of a bucket."""
    return opened(request.getfixturevalue(request.param)(prefix=""))


async def test_a_lifecycle_is_set_and_removed(whole: S3Provider) -> None:
    assert await whole.get_lifecycle() == []
    await whole.set_lifecycle([RULE])
    (rule,) = await whole.get_lifecycle()
    assert (rule["ID"], rule["Expiration"]["Days"]) == ("logs", 30)
    await whole.set_lifecycle([])
    assert await whole.get_lifecycle() == []


async def test_a_policy_is_set_and_removed(whole: S3Provider) -> None:
    assert await whole.get_bucket_policy() == {}
    wanted = policy(whole.config.bucket)
    await whole.set_bucket_policy(wanted)
    assert [each["Sid"] for each in (await whole.get_bucket_policy())["Statement"]] == ["read"]
    await whole.set_bucket_policy({})
    assert await whole.get_bucket_policy() == {}


async def test_rules_for_web_pages_are_set_and_removed(whole: S3Provider) -> None:
    assert await whole.get_cors() == []
    await whole.set_cors([CORS])
    (rule,) = await whole.get_cors()
    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["GET"], ["https://example.com"])
    await whole.set_cors([])
    assert await whole.get_cors() == []


async def test_a_provider_of_a_tenant_has_none(provider: S3Provider) -> None:
    for attempt in (
        provider.get_lifecycle(),
        provider.set_lifecycle([RULE]),
        provider.get_bucket_policy(),
        provider.set_bucket_policy({}),
        provider.get_cors(),
        provider.set_cors([]),
    ):
        with pytest.raises(Unsupported, match="concern more than") as caught:
            await attempt
        assert "without a prefix" in caught.value.hint


async def test_what_is_no_rule_is_refused(whole: S3Provider) -> None:
    with pytest.raises(ConfigError, match="PutBucketCors") as caught:
        await whole.set_cors([{"Colour": "red"}])
    assert "S3's API" in caught.value.hint


async def test_what_is_denied_or_not_there_is_told(
    on_moto: Config, opened: Open, on_faults: Config, faults: FaultServer
) -> None:
    config = on_moto(prefix="")
    missing = opened(
        type(config)(
            f"{config.bucket}x",
            endpoint_url=config.endpoint_url,
            region=config.region,
            access_key="moto",
            secret_key="moto",
        )
    )
    with pytest.raises(NotFound, match="NoSuchBucket"):
        await missing.get_lifecycle()
    faults.script(Fault("*", status=403, attempts="all"))
    with pytest.raises(S3PermissionError) as caught:
        await opened(on_faults(prefix="")).get_cors()
    assert caught.value.hint


def test_the_face_without_an_event_loop(config_on: Callable[[Server], Config], moto: Server) -> None:
    config = config_on(moto)(prefix="")
    with Client(**config.client_options()) as client:
        client.make_bucket(config.bucket)
    with SyncS3Provider(config) as provider:
        provider.set_lifecycle([RULE])
        provider.set_cors([CORS])
        provider.set_bucket_policy(policy(config.bucket))
        assert provider.get_lifecycle()[0]["ID"] == "logs"
        assert provider.get_cors()[0]["AllowedMethods"] == ["GET"]
        assert provider.get_bucket_policy()["Version"] == "2012-10-17"
