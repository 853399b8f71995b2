"""Metadata, tags, ACLs and versions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from haulyard.errors import ConfigError, NotFound, S3Error, SourceChanged, UnsafeName
from haulyard.fs import ClientSideEncryption, NewNode, S3Provider
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3ProviderConfig

pytestmark = pytest.mark.anyio


def keep_versions(config: S3ProviderConfig) -> None:
    s3: Any = boto3.client(
        "s3",
        endpoint_url=config.endpoint_url,
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
        region_name=config.region,
    )
    s3.put_bucket_versioning(Bucket=config.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.close()


async def test_metadata_is_replaced_and_the_rest_stays(provider: S3Provider) -> None:
    await provider.write_file(
        "a.csv", b"a,b", metadata={"Old": "1"}, tags={"t": "1"}, cache_control="no-store"
    )
    assert await provider.get_metadata("a.csv") == {"old": "1"}
    node = await provider.set_metadata("a.csv", {"new": "2"})
    assert node.metadata == await provider.get_metadata("a.csv") == {"new": "2"}
    found = await provider.get_node_info("a.csv")
    assert (found.content_type, found.etag, found.size) == ("text/csv", node.etag, 3)
    assert await provider.get_object_tags("a.csv") == {"t": "1"}
    assert await provider.read_file("a.csv") == b"a,b"
    node = await provider.set_metadata("a.csv", {}, content_type="text/plain")
    assert (node.content_type, node.metadata) == ("text/plain", {})
    assert (await provider.get_node_info("a.csv")).content_type == "text/plain"


async def test_a_large_file_keeps_its_content_when_its_metadata_is_set(provider: S3Provider) -> None:
    content = os.urandom(9 * 1024 * 1024)
    await provider.write_file("large", content)
    await provider.set_metadata("large", {"a": "b"})
    assert await provider.read_file("large") == content
    assert await provider.get_metadata("large") == {"a": "b"}


@pytest.mark.parametrize("name", ["haul-token", "Haul-Token", "x-amz-key-v2"])
async def test_names_of_our_own_are_refused(on_seaweedfs: Config, opened: Open, name: str) -> None:
    sealing = ClientSideEncryption(wrapping_key=Secret(b"w" * 32))
    given: dict[str, Any] = {"client_side_encryption": sealing} if name.startswith("x-amz") else {}
    provider = opened(on_seaweedfs(**given))
    await provider.write_file("there", b"x", metadata={"mine": "1"})
    for attempt in (
        provider.write_file("a", b"x", metadata={name: "x"}),
        provider.stream_write("a", _pieces(), metadata={name: "x"}),
        provider.create_node(NewNode("a", metadata={name: "x"})),
        provider.set_metadata("there", {name: "x"}),
    ):
        with pytest.raises(ConfigError, match=name.lower()):
            await attempt
    assert [node.path for node in await provider.list_directory()] == ["there"]
    assert await provider.get_metadata("there") == {"mine": "1"}
    with pytest.raises(ConfigError, match=name.lower()):
        S3Provider(on_seaweedfs(metadata={name: "x"}, **given))


async def _pieces() -> AsyncIterator[bytes]:
    yield b"x"


async def test_metadata_of_what_is_encrypted_with_a_customer_key(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(encryption=Encryption("SSE-C", customer_key=Secret(b"k" * 32))))
    await provider.write_file("a", b"secret")
    await provider.set_metadata("a", {"a": "b"})
    assert await provider.read_file("a") == b"secret"


async def test_a_write_in_between_is_not_lost(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted.write_file("a", b"old")
    await scripted._volume.proved()
    rounds = iter([True, False, False])

    def meanwhile(_: object) -> bool:
        if next(rounds):
            faults.objects["bucket", "tenants/7/a"] = b"new"
        return False

    faults.script(Fault("CopyObject", where=meanwhile, status=500))
    await scripted.set_metadata("a", {"a": "b"})
    assert await scripted.read_file("a") == b"new"
    assert await scripted.get_metadata("a") == {"a": "b"}


async def test_a_file_that_never_stands_still_is_given_up(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted.write_file("a", b"old")
    await scripted._volume.proved()
    contents = iter(range(100))

    def meanwhile(_: object) -> bool:
        faults.objects["bucket", "tenants/7/a"] = b"%d" % next(contents)
        return False

    faults.script(Fault("CopyObject", where=meanwhile, status=500, attempts="all"))
    with pytest.raises(SourceChanged):
        await scripted.set_metadata("a", {"a": "b"})


async def test_directories_have_no_metadata(provider: S3Provider) -> None:
    await provider.write_file("a/b", b"x")
    assert await provider.get_metadata("a") == {}
    for call in (provider.get_metadata("nothing"), provider.set_metadata("nothing", {})):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(UnsafeName):
        await provider.set_metadata("a/", {})


async def test_tags_are_replaced_and_removed(provider: S3Provider) -> None:
    await provider.write_file("a", b"x")
    await provider.set_object_tags("a", {"team": "data"})
    assert await provider.get_object_tags("a") == {"team": "data"}
    await provider.set_object_tags("a", {})
    assert await provider.get_object_tags("a") == {}
    with pytest.raises(ConfigError):
        await provider.set_object_tags("a", ["team"])  # type: ignore[arg-type]  # the mistake
    with pytest.raises(NotFound):
        await provider.get_object_tags("nothing")


async def test_acls_are_read_and_set(on_moto: Config, opened: Open) -> None:
    provider = opened(on_moto())
    await provider.write_file("a", b"x", acl="private")
    private = await provider.get_acl("a")
    await provider.set_acl("a", "public-read")
    public = await provider.get_acl("a")
    assert len(public.grants) == len(private.grants) + 1
    await provider.set_acl("a", private)
    assert await provider.get_acl("a") == private


async def test_versions_are_listed_read_and_restored(on_moto: Config, opened: Open) -> None:
    keep_versions(on_moto())
    provider = opened(on_moto())
    await provider.write_file("a", b"first", metadata={"n": "1"})
    await provider.write_file("a", b"second")
    await provider.write_file("ab", b"another file")
    await provider.write_file("a/b", b"another file")
    await provider.delete_node("a")
    marker, second, first = await provider.list_versions("a")
    assert [each.path for each in (marker, second, first)] == ["a"] * 3
    assert (marker.is_marker, marker.is_latest, second.size, first.size) == (True, True, 6, 5)
    assert await provider.read_version("a", first.version_id) == b"first"
    pieces = [piece async for piece in provider.stream_read("a", version_id=second.version_id)]
    assert b"".join(pieces) == b"second"
    with pytest.raises(NotFound):
        await provider.read_file("a")
    node = await provider.restore_version("a", first.version_id)
    assert await provider.read_file("a") == b"first"
    assert (await provider.get_node_info("a")).version_id == node.version_id != first.version_id
    assert await provider.get_metadata("a") == {"n": "1"}
    with pytest.raises(S3Error):
        await provider.restore_version("a", marker.version_id)
    with pytest.raises(S3Error):
        await provider.read_version("ab", first.version_id)


async def test_a_file_without_versions_is_its_only_one(provider: S3Provider) -> None:
    await provider.write_file("a", b"x")
    (only,) = await provider.list_versions("a")
    assert (only.path, only.is_latest, only.is_marker, only.size) == ("a", True, False, 1)
    assert await provider.list_versions("nothing") == []
