from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient, ConfigError, Encryption, S3Conflict, S3NotFound, Secret, Warned
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.client.conftest import Connect

    from haulyard import PresignedPost

pytestmark = pytest.mark.anyio


async def fetch(
    method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Do what somebody without credentials would."""

    def ask() -> tuple[int, bytes]:
        # The URL is one of the test's own server.
        request = urllib.request.Request(url, data, dict(headers or {}), method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return await asyncio.to_thread(ask)


async def submit(form: PresignedPost, name: str, content: bytes) -> int:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in form.fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    )
    body = b"".join(parts) + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return (await fetch("POST", form.url, body, headers))[0]


async def test_buckets_are_made_and_removed_by_uri_or_bare_name(
    client: AsyncClient, bucket_name: Callable[[], str]
) -> None:
    name = bucket_name()
    await client.make_bucket(name)
    assert await client.exists(f"s3://{name}")
    await client.remove_bucket(f"s3://{name}/")
    assert not await client.exists(f"s3://{name}")


async def test_a_bucket_with_something_in_it_stays(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"")
    with pytest.raises(S3Conflict):
        await client.remove_bucket(bucket)


async def test_an_object_is_no_bucket(client: AsyncClient) -> None:
    with pytest.raises(ConfigError, match="names more than a bucket"):
        await client.make_bucket("s3://bucket/key")


async def test_access_is_checked_below_a_prefix_and_leaves_nothing(client: AsyncClient, bucket: str) -> None:
    probes = await client.check_access(bucket + "below/")
    assert {probe.outcome for probe in probes} == {"ok", "unknown"}
    assert [info async for info in client.list(bucket)] == []
    read = await client.check_access(bucket, read_only=True)
    assert {probe.operation for probe in read} < {probe.operation for probe in probes}
    with pytest.raises(S3NotFound):
        await client.check_access("s3://no-such-bucket-here")


async def test_a_presigned_url_reads(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "a key", b"hello")
    signed = await client.presign(bucket + "a key", expires_in=timedelta(minutes=1))
    assert await fetch("GET", signed.url) == (200, b"hello")
    assert signed.url not in repr(signed)


async def test_a_presigned_url_writes_with_its_headers(client: AsyncClient, bucket: str) -> None:
    signed = await client.presign(
        bucket + "new", method="PUT", content_type="text/csv", metadata={"from": "outside"}
    )
    assert (await fetch("PUT", signed.url, b"a,b", signed.headers))[0] == 200
    head = await client.head(bucket + "new")
    assert (head.size, head.content_type, head.metadata["from"]) == (3, "text/csv", "outside")


async def test_a_form_uploads_what_it_allows(client: AsyncClient, bucket: str) -> None:
    form = await client.presign_post(bucket + "uploads/", max_size=10)
    assert await submit(form, "file.txt", b"small") in {200, 204}
    assert await client.get(bucket + "uploads/file.txt") == b"small"
    assert await submit(form, "large.txt", b"x" * 11) >= 400


@pytest.mark.parametrize("seconds", [0, 7 * 24 * 3600 + 1])
async def test_a_url_lives_at_most_seven_days(client: AsyncClient, seconds: int) -> None:
    with pytest.raises(ConfigError, match="cannot live"):
        await client.presign("s3://bucket/key", expires_in=seconds)


async def test_no_url_hands_a_key_out(client: AsyncClient) -> None:
    encryption = Encryption("SSE-C", customer_key=Secret(bytes(32)))
    with pytest.raises(ConfigError, match="hand the SSE-C key out"):
        await client.presign("s3://bucket/key", method="PUT", encryption=encryption)


async def test_on_aws_a_url_is_signed_for_the_buckets_own_region() -> None:
    seen: list[Any] = []
    async with AsyncClient(
        access_key="a", secret_key="b", region="eu-west-1", retries=1, on_event=seen.append
    ) as client:
        # No network here: that the region could not be asked for is said, and the URL made all the same.
        client._session.connection().client.head_bucket = _denied  # type: ignore[method-assign]
        signed = await client.presign("s3://bucket/key")
    assert "eu-west-1" in signed.url
    assert any(isinstance(event, Warned) and "region" in event.message for event in seen)


async def _denied(bucket: str) -> str:
    raise S3NotFound(f"{bucket} is not there")


async def test_a_region_goes_with_a_new_bucket(connect: Connect) -> None:
    with FaultServer(Fault("CreateBucket", attempts="all", status=409)) as server:
        async with connect(server.url) as client:
            with pytest.raises(S3Conflict):
                await client.make_bucket("s3://new", region="eu-west-1")
        assert b"eu-west-1" in server.requests[0].body
