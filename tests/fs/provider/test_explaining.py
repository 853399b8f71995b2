"""What is said of files that are not there, and of keys that are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import HaulError, NotFound, S3CredentialsError, S3PermissionError
from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio


async def told_by(provider: S3Provider, path: str) -> list[NotFound]:
    """Return what all calls that want a file raise."""

    async def streamed() -> None:
        async for _ in provider.stream_read(path):
            pass

    errors = []
    for attempt in (provider.read_file(path), streamed(), provider.set_metadata(path, {"a": "b"})):
        with pytest.raises(NotFound) as caught:
            await attempt
        errors.append(caught.value)
    return errors


async def test_a_directory_is_said_to_be_one(provider: S3Provider) -> None:
    await provider.write_file("some/where/file", b"x")
    for error in await told_by(provider, "some/where"):
        assert str(error).endswith("some/where is a directory, and a file is wanted")
        assert "list_directory('some/where')" in error.hint
        assert error.code == "NoSuchKey"


async def test_what_is_not_there_comes_with_what_to_do(provider: S3Provider) -> None:
    told = await told_by(provider, "nothing")
    for attempt in (
        provider.get_node_info("nothing"),
        provider.list_directory("nothing"),
        provider.delete_node("nothing"),
        provider.copy_node("nothing", "something"),
    ):
        with pytest.raises(NotFound) as caught:
            await attempt
        told.append(caught.value)
    assert all("list_directory" in error.hint for error in told)


async def test_of_a_file_that_is_not_there_nobody_needs_to_be_allowed_to_list(
    scripted: S3Provider, faults: FaultServer
) -> None:
    faults.script(Fault("ListObjectsV2", status=403, attempts="all"))
    assert all("directory," not in str(error) for error in await told_by(scripted, "nothing"))


async def test_a_bucket_that_is_not_there_comes_with_what_to_do(on_seaweedfs: Config, opened: Open) -> None:
    config = on_seaweedfs()
    missing = opened(
        type(config)(
            f"{config.bucket}x",
            endpoint_url=config.endpoint_url,
            access_key=config.access_key,
            secret_key=config.secret_key,
        )
    )
    for attempt in (missing.read_file("a"), missing.list_directory(), missing.write_file("a", b"x")):
        with pytest.raises(NotFound, match="NoSuchBucket") as caught:
            await attempt
        assert "haul mb" in caught.value.hint


async def test_wrong_keys_are_no_missing_permission(on_seaweedfs: Config, opened: Open) -> None:
    wrong = opened(on_seaweedfs(secret_key="wrong"))
    for attempt in (wrong.get_node_info("a"), wrong.exists("a"), wrong.read_file("a")):
        with pytest.raises(S3CredentialsError, match="SignatureDoesNotMatch") as caught:
            await attempt
        assert "AWS_SECRET_ACCESS_KEY" in caught.value.hint


async def test_fsspec_tells_wrong_keys_from_missing_permissions(on_seaweedfs: Config) -> None:
    config = on_seaweedfs()
    fs = HaulFileSystem(endpoint_url=config.endpoint_url, key=config.access_key, secret="wrong")
    with pytest.raises(PermissionError, match="SignatureDoesNotMatch"):
        fs.exists(f"{config.bucket}/a")
    fs.close()


@pytest.mark.parametrize("listing", [200, 403, 500])
async def test_a_missing_permission_stays_one(
    scripted: S3Provider, faults: FaultServer, listing: int
) -> None:
    head = Fault("HeadObject", status=403, attempts="all")
    body = "" if listing == 200 else error_xml("AccessDenied" if listing == 403 else "InternalError")
    faults.script(
        head, *([Fault("ListObjectsV2", status=listing, body=body, attempts="all")] if body else [])
    )
    with pytest.raises(S3PermissionError, match="Forbidden") as caught:
        await scripted.get_node_info("a")
    assert "s3:GetObject" in caught.value.hint
    assert isinstance(caught.value, HaulError)
