from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient, ConfigError, HaulError, Warned
from haulyard.client.session import Session
from haulyard.config import Settings
from haulyard.events import ignore
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from tests.client.conftest import Connect

pytestmark = pytest.mark.anyio


async def test_a_closed_client_says_so_and_closes_again(settings: dict[str, Any]) -> None:
    client = AsyncClient(**settings)
    await client.close()
    await client.close()
    with pytest.raises(HaulError, match="the client is closed"):
        await client.get("s3://bucket/key")
    with pytest.raises(HaulError, match="the client is closed"):
        await anext(client.list("s3://bucket"))


def test_a_client_of_another_event_loop_says_so(settings: dict[str, Any]) -> None:
    client = AsyncClient(**settings)

    async def use() -> None:
        assert not await client.exists("s3://no-such-bucket-here")

    async def close() -> None:
        await client.close()

    with asyncio.Runner() as first:
        first.run(use())
        with asyncio.Runner() as second, pytest.raises(HaulError, match="another event loop"):
            second.run(use())
        first.run(close())


async def test_a_client_that_was_never_used_opens_nothing() -> None:
    async with AsyncClient(endpoint_url="http://127.0.0.1:1") as client:
        assert client.settings.endpoint_url == "http://127.0.0.1:1"


async def test_buckets_share_one_connection_and_the_source_has_its_own() -> None:
    async with AsyncClient(source_endpoint_url="http://127.0.0.1:1") as client:
        session = client._session
        ours = session.connection()
        theirs = session.connection(source=True)
        assert session.connection() is ours
        assert session.connection(source=True) is theirs
        assert (ours.settings.endpoint_url, theirs.settings.endpoint_url) == ("", "http://127.0.0.1:1")


async def test_without_settings_of_a_source_there_is_one_connection() -> None:
    async with AsyncClient() as client:
        session = client._session
        assert session.connection(source=True) is session.connection()


async def test_keys_are_used_for_the_source_unless_it_has_a_profile(tmp_path: Any) -> None:
    config = tmp_path / "config"
    config.write_text("[profile other]\naws_access_key_id = theirs\naws_secret_access_key = secret\n")
    environment = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(config)}
    ours = Settings(source_endpoint_url="http://127.0.0.1:1", environment=environment)
    theirs = Settings(source_profile="other", environment=environment)
    for settings, key in ((ours, "ours"), (theirs, "theirs")):
        session = Session(settings, ignore, ("ours", "secret", ""))
        credentials = await session.connection(source=True).credentials.get(0)
        assert credentials is not None
        assert credentials.access_key == key
        await session.close()


async def test_what_the_settings_warn_of_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAUL_CONCURENCY", "3")
    events: list[object] = []
    async with AsyncClient(on_event=events.append):
        pass
    assert [event.message for event in events if isinstance(event, Warned)] == [
        "HAUL_CONCURENCY is not a variable of Haulyard; did you mean HAUL_CONCURRENCY?"
    ]


async def test_many_tasks_share_a_client(connect: Connect) -> None:
    with FaultServer() as server:
        async with connect(server.url, concurrency=4) as client:
            await asyncio.gather(*(client.put(f"s3://bucket/{number}", b"x") for number in range(50)))
        assert len(server.objects) == 50


@pytest.mark.parametrize("uri", ["s3://", "s3://B@D/key", "arn:aws:s3:::bucket:x", ""])
async def test_no_bucket_is_no_uri(uri: str) -> None:
    async with AsyncClient() as client:
        with pytest.raises(ConfigError):
            await client.get(uri)


@pytest.mark.parametrize(
    ("uri", "settings", "host"),
    [
        ("s3://bucket/key", {}, "bucket.s3.us-east-1.amazonaws.com"),
        ("https://bucket.s3.eu-central-1.amazonaws.com/key", {}, "bucket.s3.eu-central-1.amazonaws.com"),
        ("https://s3.eu-central-1.amazonaws.com/bucket/key", {}, "bucket.s3.eu-central-1.amazonaws.com"),
        (
            "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/key",
            {},
            "bucket.s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            "https://bucket.s3.eu-west-1.amazonaws.com/key",
            {"use_dualstack": True},
            "bucket.s3.dualstack.eu-west-1.amazonaws.com",
        ),
        ("https://bucket.s3-fips.us-west-2.amazonaws.com/k", {}, "bucket.s3-fips.us-west-2.amazonaws.com"),
        ("https://bucket.s3-accelerate.amazonaws.com/key", {}, "bucket.s3-accelerate.amazonaws.com"),
        (
            "https://bucket.s3.cn-north-1.amazonaws.com.cn/key",
            {"region": "cn-north-1"},
            "bucket.s3.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
async def test_the_form_of_an_https_url_picks_the_endpoint(
    uri: str, settings: dict[str, Any], host: str
) -> None:
    async with AsyncClient(**{"region": "us-east-1", **settings}) as client:
        place = client._session.place(uri)
        address = client._session.connection().signer.address(place.store.bucket)
    assert (address.scheme, address.host) == ("https", host)


async def test_a_region_in_a_url_is_none_of_an_endpoint_of_ones_own() -> None:
    async with AsyncClient(endpoint_url="http://127.0.0.1:1", region="us-east-1") as client:
        client._session.place("https://bucket.s3.dualstack.eu-west-1.amazonaws.com/key")
        address = client._session.connection().signer.address("bucket")
    assert (address.host, address.signing_region) == ("127.0.0.1", "us-east-1")


async def test_where_a_bucket_was_found_goes_before_where_a_url_says_it_is() -> None:
    async with AsyncClient(region="us-east-1") as client:
        session = client._session
        session.connection().regions.learn("bucket", "eu-north-1")
        session.place("https://bucket.s3.eu-west-1.amazonaws.com/key")
        assert session.connection().signer.address("bucket").signing_region == "eu-north-1"
