"""What must never be sent, followed, or said."""

from __future__ import annotations

import os
import traceback
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, HaulError
from haulyard.events import RequestDone
from haulyard.models import (
    ByteRange,
    CopyOptions,
    CopySource,
    Encryption,
    GetOptions,
    PartOptions,
    PutOptions,
)
from haulyard.models.options import Secret
from haulyard.testing.faults import Fault, error_xml

if TYPE_CHECKING:
    from tests.faults.conftest import Stack

pytestmark = pytest.mark.anyio

CUSTOMER_KEY = os.urandom(32)
ENCRYPTED = Encryption("SSE-C", customer_key=Secret(CUSTOMER_KEY))
SSE_C = "x-amz-server-side-encryption-customer-key"


# SSE-C


@pytest.mark.row("customer key")
async def test_the_key_goes_with_each_call_that_needs_it(stack: Stack) -> None:
    """SSE-C: the key headers on GET, HEAD, parts and as copy source."""
    store = stack.store
    put, get = PutOptions(encryption=ENCRYPTED), GetOptions(encryption=ENCRYPTED)
    await store.put("key", b"content", put)
    await store.head("key", get)
    async with await store.get("key", get) as reader:
        await reader.read()
    upload = await store.create_multipart("big", put)
    part = await store.put_part("big", upload, 1, b"part", PartOptions(encryption=ENCRYPTED))
    await store.complete_multipart("big", upload, [part], put)
    assert all(SSE_C in request.headers for request in stack.server.requests)
    source = CopySource("bucket", "key", encryption=ENCRYPTED)
    await store.copy(source, "copy", CopyOptions(put))
    upload = await store.create_multipart("parts", put)
    await store.copy_part("parts", upload, 1, source, ByteRange(0, 7), PartOptions(encryption=ENCRYPTED))
    for request in (stack.server.requests[-3], stack.server.requests[-1]):
        assert request.headers["x-amz-copy-source-server-side-encryption-customer-key"]
        assert request.headers[SSE_C] == b64encode(CUSTOMER_KEY).decode()


@pytest.mark.row("customer key")
async def test_the_key_goes_with_what_is_resumed(stack: Stack) -> None:
    """SSE-C: the key headers on every range."""
    content = os.urandom(8_000_000)
    await stack.store.put("key", content, PutOptions(encryption=ENCRYPTED))
    stack.server.script(Fault("GetObject", truncate=1_000_000))
    async with await stack.store.get("key", GetOptions(encryption=ENCRYPTED)) as reader:
        assert b"".join([bytes(chunk) async for chunk in reader.chunks()]) == content
    assert SSE_C in stack.server.requests[-1].headers
    assert "range" in stack.server.requests[-1].headers


@pytest.mark.row("customer key")
async def test_the_key_is_not_sent_in_the_open(connect: Any) -> None:
    """SSE-C: refused over plain http unless the host is loopback."""
    stack: Stack = connect(endpoint_url=f"http://0.0.0.0:{connect().server.port}")
    with pytest.raises(ConfigError, match="SSE-C"):
        await stack.store.put("key", b"content", PutOptions(encryption=ENCRYPTED))
    assert not stack.server.requests


# No secret in errors and events

FAULTS = [
    Fault(status=500, attempts="all"),
    Fault(status=403, body=error_xml("AccessDenied"), attempts="all"),
    Fault(reset_after=0, attempts="all"),
    Fault(redirect=(301, "https://elsewhere.example/?X-Amz-Signature=5ec3e7", {}), attempts="all"),
    Fault(
        status=403,
        body=error_xml("SignatureDoesNotMatch", "AKIDEXAMPLE x-amz-security-token:5ec3e7token"),
        attempts="all",
    ),
    Fault(status=400, body=error_xml("InvalidArgument", "X-Amz-Signature=5ec3e7&x=1"), attempts="all"),
]


@pytest.mark.row("secrets")
@pytest.mark.parametrize("fault", FAULTS, ids=["500", "403", "reset", "301", "signature", "echo"])
async def test_whatever_fails_no_secret_is_told(connect: Any, fault: Fault) -> None:
    """Security: no secret, session token, SSE-C key, presigned URL or Authorization header is told."""
    stack: Stack = connect(AWS_SESSION_TOKEN="5ec3e7token", retries=2)
    key = b64encode(CUSTOMER_KEY).decode()
    stack.server.script(fault)
    options = PutOptions(encryption=ENCRYPTED)
    said = []
    for call in (
        stack.store.put("key", b"content", options),
        stack.store.get("key", GetOptions(encryption=ENCRYPTED)),
        stack.store.head("key", GetOptions(encryption=ENCRYPTED)),
        stack.store.copy(CopySource("bucket", "key", encryption=ENCRYPTED), "copy", CopyOptions(options)),
        stack.store.delete("key"),
        anext(stack.store.list()),
    ):
        with pytest.raises(HaulError) as raised:
            await call
        error = raised.value
        said.append("".join(traceback.format_exception(error)) + repr(vars(error)))
    said.append(repr(stack.events))
    authorization = {request.headers.get("authorization", "none") for request in stack.server.requests}
    signatures = {text.rpartition("Signature=")[2] for text in authorization}
    for secret in ("5ec3e7", key, "AWS4-HMAC-SHA256", *signatures):
        assert secret not in "\n".join(said)
    assert any(isinstance(event, RequestDone) for event in stack.events)


@pytest.mark.row("secrets")
async def test_what_holds_secrets_does_not_show_them(stack: Stack) -> None:
    """Security: nor in what is logged of options, credentials and errors."""
    credentials = await stack.connection.credentials.get(0.0)
    shown = repr(ENCRYPTED) + repr(PutOptions(encryption=ENCRYPTED)) + repr(credentials)
    assert "5ec3e7" not in shown
    assert b64encode(CUSTOMER_KEY).decode() not in shown
    assert repr(CUSTOMER_KEY) not in shown


# Hosts


@pytest.mark.row("hosts")
@pytest.mark.parametrize("region", ["evil.example/", "us-east-1.evil.example", "a b", "-x", "eu@evil"])
async def test_a_region_that_is_no_host_label_is_refused(connect: Any, region: str) -> None:
    """Security: a region that is no valid host label is refused."""
    stack: Stack = connect(endpoint_url=None, region=region)
    with pytest.raises(ConfigError):
        await stack.store.head("key")


@pytest.mark.row("hosts")
@pytest.mark.parametrize("bucket", ["evil.example/x", "a/../b", "x@evil", "a?b", "A#", "..", "a b"])
async def test_a_bucket_that_is_no_name_is_refused(stack: Stack, bucket: str) -> None:
    """Security: a bucket name that is no valid host label is refused."""
    with pytest.raises(HaulError):
        await stack.connection.bucket(bucket).head("key")
    assert not stack.server.requests


@pytest.mark.row("hosts")
async def test_a_region_that_an_answer_names_is_no_host_to_follow(connect: Any) -> None:
    """301, 307: a region that is no host label is not learned."""
    stack: Stack = connect()
    evil = "eu-west-1.evil.example"
    stack.server.script(Fault(redirect=(301, None, {"x-amz-bucket-region": evil}), attempts="all"))
    with pytest.raises(HaulError):
        await anext(stack.store.list())
    assert stack.connection.regions.get("bucket") == ""


@pytest.mark.row("multi-region")
async def test_multi_region_access_points_are_refused_by_name(connect: Any) -> None:
    """Security: multi-region access points need SigV4A: refused by name."""
    stack: Stack = connect(endpoint_url=None)
    arn = "arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap"
    with pytest.raises(HaulError, match=r"(?i)multi-region"):
        await stack.connection.bucket(arn).head("key")


# Requester pays


@pytest.mark.row("requester pays")
async def test_nobody_pays_without_having_said_so(connect: Any) -> None:
    """Requester pays: only on an explicit flag."""
    stack: Stack = connect()
    await stack.store.put("key", b"content")
    paying: Stack = connect(request_payer="requester")
    await paying.store.head("key")
    silent, said = stack.server.requests
    assert "x-amz-request-payer" not in silent.headers
    assert said.headers["x-amz-request-payer"] == "requester"
