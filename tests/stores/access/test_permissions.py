from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import S3NetworkError, S3NotFound
from haulyard.models import ListOptions
from haulyard.stores.access import check_access, prove
from haulyard.stores.memory import MemoryStore
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conftest import Server
    from tests.stores.access.conftest import Opener

    from haulyard.stores.access import Probe
    from haulyard.testing.faults import RecordedRequest

pytestmark = pytest.mark.anyio

# The scripted server has no ACLs.
READS = {"ListObjectsV2", "HeadObject", "GetObject", "PresignedUrl", "GetObjectTagging"}


def outcomes(probes: Sequence[Probe]) -> dict[str, str]:
    found: dict[str, str] = {probe.operation: probe.outcome for probe in probes}
    assert len(found) == len(probes)
    return found


def is_write(request: RecordedRequest) -> bool:
    return request.method not in {"GET", "HEAD"}


async def test_everything_is_allowed_to_the_owner_and_nothing_stays_behind(
    connect: Opener, seaweedfs: Server, bucket_name: Callable[[], str]
) -> None:
    bucket = bucket_name()
    async with connect(seaweedfs.endpoint_url, (seaweedfs.access_key, seaweedfs.secret_key)) as connection:
        await connection.client.create_bucket(bucket)
        found = outcomes(await connection.check_access(bucket))
        assert found.pop("DeleteObjectVersion") == "unknown"  # the bucket keeps none
        assert set(found.values()) == {"ok"}
        assert found.keys() > READS
        store = connection.bucket(bucket)
        assert [page.objects async for page in store.list()] in ([], [[]])
        assert [upload async for upload in store.list_uploads()] == []


async def test_no_empty_directory_stays_behind_where_a_store_has_some(
    connect: Opener,
    seaweedfs: Server,
    bucket_name: Callable[[], str],
    keep_versions: Callable[[Server, str], None],
) -> None:
    async with connect(seaweedfs.endpoint_url, (seaweedfs.access_key, seaweedfs.secret_key)) as connection:
        for versions in (False, True):
            bucket = bucket_name()
            await connection.client.create_bucket(bucket)
            if versions:
                keep_versions(seaweedfs, bucket)
            store = connection.bucket(bucket)
            await store.put("tree/mine", b"x")
            await connection.check_access(bucket, below="tree/")
            await prove(store, str(connect.state_dir), endpoint=f"of {bucket}", below="tree/")
            folded = ListOptions(delimiter="/")
            pages = [page async for page in store.list("tree/", folded)]
            assert [each.key for page in pages for each in page.objects] == ["tree/mine"]
            assert [each for page in pages for each in page.prefixes] == []
            seen = [page async for page in store.list_versions()]
            assert [each.key for page in seen for each in page.versions] == ["tree/mine"]


async def test_versions_are_tried_and_removed(
    connect: Opener,
    moto: Server,
    bucket_name: Callable[[], str],
    keep_versions: Callable[[Server, str], None],
) -> None:
    bucket = bucket_name()
    async with connect(moto.endpoint_url) as connection:
        await connection.client.create_bucket(bucket)
        keep_versions(moto, bucket)
        assert outcomes(await connection.check_access(bucket))["DeleteObjectVersion"] == "ok"
        pages = [page async for page in connection.bucket(bucket).list_versions()]
        assert [page.versions for page in pages] in ([], [[]])


async def test_a_denied_call_is_told_with_its_action_its_commands_and_the_answer(connect: Opener) -> None:
    with FaultServer(Fault("DeleteObject", attempts="all", status=403)) as server:
        async with connect(server.url) as connection:
            probes = await connection.check_access("bucket")
    (denied,) = [probe for probe in probes if probe.outcome == "denied"]
    assert (denied.operation, denied.action) == ("DeleteObject", "s3:DeleteObject")
    assert set(denied.commands) == {"rm", "mv"}
    assert "AccessDenied" in denied.detail
    assert any("could not be removed" in text for text in connect.warnings)


async def test_what_may_not_write_is_tried_on_what_is_there(connect: Opener) -> None:
    denied = [
        Fault(name, attempts="all", status=403)
        for name in ("PutObject", "CreateMultipartUpload", "CopyObject")
    ]
    with FaultServer(*denied) as server:
        server.objects["bucket", "there"] = b"x"
        async with connect(server.url) as connection:
            found = outcomes(await connection.check_access("bucket"))
        assert {request.key for request in server.requests if request.operation == "GetObject"} == {"there"}
    assert {found[name] for name in READS} == {"ok"}
    assert found["PutObject"] == found["CreateMultipartUpload"] == "denied"
    assert found["UploadPart"] == found["CopyObject"] == found["PutObjectTagging"] == "unknown"
    # Deleting is tried on keys that nobody has.
    assert found["DeleteObject"] == found["DeleteObjects"] == "ok"


async def test_read_only_writes_nothing(connect: Opener) -> None:
    with FaultServer() as server:
        server.objects["bucket", "a/first"] = b"x"
        server.objects["bucket", "b/second"] = b""
        async with connect(server.url) as connection:
            found = outcomes(await connection.check_access("bucket", below="b/", read_only=True))
        assert not any(map(is_write, server.requests))
        assert {request.key for request in server.requests if request.key} == {"b/second"}
    assert found.keys() == READS | {"ListObjectVersions", "ListMultipartUploads", "GetObjectAcl"}
    assert {found[name] for name in READS} == {"ok"}


async def test_where_there_is_nothing_to_read_reading_stays_unknown(connect: Opener) -> None:
    with FaultServer() as server:
        async with connect(server.url) as connection:
            probes = await connection.check_access("bucket", read_only=True)
    (get,) = [probe for probe in probes if probe.operation == "GetObject"]
    assert (get.outcome, get.detail) == ("unknown", "there is no object to try it on")


async def test_a_presigned_url_that_is_refused_is_told(connect: Opener) -> None:
    def is_presigned(request: RecordedRequest) -> bool:
        return "X-Amz-Signature" in request.parameters

    with FaultServer(Fault(attempts="all", where=is_presigned, status=403)) as server:
        async with connect(server.url) as connection:
            assert outcomes(await connection.check_access("bucket"))["PresignedUrl"] == "denied"
        server.script(Fault(attempts="all", where=is_presigned, status=500))
        async with connect(server.url) as connection:
            assert outcomes(await connection.check_access("bucket"))["PresignedUrl"] == "error"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("AccessControlListNotSupported", "unsupported"), ("MalformedACLError", "error")],
)
async def test_a_call_that_the_bucket_does_not_have_is_no_missing_permission(
    connect: Opener, code: str, outcome: str
) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    with FaultServer(Fault("PutObjectAcl", attempts="all", status=400, body=body)) as server:
        async with connect(server.url) as connection:
            assert outcomes(await connection.check_access("bucket"))["PutObjectAcl"] == outcome


async def test_an_archived_object_may_be_read(connect: Opener) -> None:
    body = "<Error><Code>InvalidObjectState</Code></Error>"
    with FaultServer(Fault("GetObject", attempts="all", status=403, body=body)) as server:
        server.objects["bucket", "cold"] = b"x"
        async with connect(server.url) as connection:
            assert outcomes(await connection.check_access("bucket", read_only=True))["GetObject"] == "ok"


async def test_a_missing_bucket_or_server_is_an_error_of_its_own(connect: Opener) -> None:
    with FaultServer(buckets=[]) as server:
        async with connect(server.url) as connection:
            with pytest.raises(S3NotFound):
                await connection.check_access("bucket")
        url = server.url
    async with connect(url, retries=1) as connection:
        with pytest.raises(S3NetworkError):
            await connection.check_access("bucket")


async def test_what_was_written_is_removed_where_the_work_is_cancelled(connect: Opener) -> None:
    with FaultServer(Fault("ListParts", stall=True)) as server:
        async with connect(server.url) as connection:
            task = asyncio.ensure_future(connection.check_access("bucket"))
            await server.wait_for_async(lambda request: request.operation == "ListParts")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert list(server.objects) == []
            assert server.uploads == ()
        server.release()


async def test_a_store_without_archives_and_urls_says_so() -> None:
    store = MemoryStore()
    await store.put("key", b"x")

    async def fetch(_url: str) -> int:
        return 200

    found = outcomes(await check_access(store, fetch=fetch))
    assert found["PresignedUrl"] == "unsupported"
    assert found["PutObject"] == found["CopyObject"] == found["DeleteObject"] == "ok"
