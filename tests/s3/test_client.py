"""What the client adds to every call, and what it makes of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute
from haulyard.errors import ConfigError, S3GenericError, S3IntegrityError
from haulyard.models import (
    ByteRange,
    CopyOptions,
    CopySource,
    DeleteItem,
    DeleteOptions,
    Encryption,
    GetOptions,
    ListOptions,
    PartOptions,
    PutOptions,
    RestoreOptions,
    Secret,
)
from haulyard.s3 import objects
from haulyard.s3.client import S3Client
from haulyard.s3.credentials import Credentials
from haulyard.s3.endpoint import EndpointConfig, resolve
from haulyard.s3.presign import PostPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    from haulyard.s3.endpoint import Address
    from haulyard.s3.request import Request

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret")
KEY = Encryption("SSE-C", customer_key=Secret(b"k" * 32))


class Answer:
    """A buffered answer."""

    attempts = 1

    def __init__(
        self, body: bytes = b"", headers: Mapping[str, str] | None = None, status: int = 200
    ) -> None:
        self.body = body
        self.headers = headers or {}
        self.status = status
        self.closed = False

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class Layers:
    """Stands for the pipeline: records requests and gives the answers that were laid out."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answers.pop(0)


class Addresses:
    """Where buckets are."""

    def __init__(self, url: str = "https://s3.example.com") -> None:
        self._url = url

    def now(self) -> float:
        return 1_700_000_000.0

    def address(self, bucket: str) -> Address:
        return resolve(EndpointConfig(self._url, "us-east-1"), bucket, "")


def client_of(
    layers: Layers,
    *,
    url: str = "https://s3.example.com",
    credentials: Credentials | None = CREDENTIALS,
    owner: str = "",
    payer: bool = False,
    algorithm: str = "CRC64NVME",
    validate: bool = True,
) -> S3Client:
    async def current() -> Credentials | None:
        return credentials

    return S3Client(
        layers,
        signer=Addresses(url),
        credentials=current,
        expected_owner=owner,
        request_payer=payer,
        checksum_algorithm=algorithm,
        validate_checksums=validate,
    )


def headers_of_object(body: bytes) -> dict[str, str]:
    return {"content-length": str(len(body)), "etag": '"e"', "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT"}


class Source:
    """A body that counts how often it is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.opened = 0

    @property
    def size(self) -> int:
        return len(self.data)

    async def open(self) -> AsyncIterator[bytes]:
        self.opened += 1
        yield self.data[:2]
        yield self.data[2:]


async def test_owner_and_payer_go_with_every_call_on_a_bucket() -> None:
    layers = Layers(Answer(), Answer(b"x", headers_of_object(b"x")), Answer(), Answer(headers={"etag": "e"}))
    client = client_of(layers, owner="123456789012", payer=True)
    await client.delete_object("b", "k", DeleteOptions())
    await (await client.get_object("b", "k", GetOptions())).close()
    await client.head_bucket("b")
    await client.put_object("b", "k", b"x", PutOptions())
    for request in layers.requests:
        assert request.headers["x-amz-expected-bucket-owner"] == "123456789012"
        assert request.headers["x-amz-request-payer"] == "requester"


async def test_a_bucket_to_be_made_has_no_owner_yet() -> None:
    listed = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
    layers = Layers(Answer(), Answer(listed))
    client = client_of(layers, owner="123456789012")
    await client.create_bucket("b")
    assert (await client.list_buckets()).page == []
    assert all("x-amz-expected-bucket-owner" not in request.headers for request in layers.requests)


@pytest.mark.parametrize(
    ("algorithm", "asked", "header"),
    [
        ("CRC64NVME", "", "x-amz-checksum-crc64nvme"),
        ("CRC64NVME", "SHA256", "x-amz-checksum-sha256"),
        ("CRC32C", "", "x-amz-checksum-crc32c"),
        ("none", "CRC32", "x-amz-checksum-crc32"),
    ],
)
async def test_bodies_are_sent_with_a_checksum(algorithm: str, asked: str, header: str) -> None:
    layers = Layers(Answer(), Answer())
    client = client_of(layers, algorithm=algorithm)
    await client.put_object("b", "k", b"body", PutOptions(checksum_algorithm=asked))
    await client.upload_part("b", "k", "u", 1, b"body", PartOptions(checksum_algorithm=asked))
    expected = compute(asked or algorithm, b"body").value
    assert [request.headers[header] for request in layers.requests] == [expected] * 2


@pytest.mark.parametrize(("algorithm", "asked"), [("none", ""), ("CRC64NVME", "none")])
async def test_a_checksum_can_be_declined(algorithm: str, asked: str) -> None:
    layers = Layers(Answer())
    await client_of(layers, algorithm=algorithm).put_object(
        "b", "k", b"body", PutOptions(checksum_algorithm=asked)
    )
    assert not any(name.startswith("x-amz-checksum") for name in layers.requests[0].headers)


async def test_a_checksum_that_was_given_is_not_computed_again() -> None:
    layers, source = Layers(Answer(), Answer()), Source(b"body")
    client, checksum = client_of(layers), compute("CRC32", b"body")
    await client.put_object("b", "k", source, PutOptions(checksum=checksum))
    await client.upload_part("b", "k", "u", 1, source, PartOptions(checksum=checksum))
    assert source.opened == 0
    for request in layers.requests:
        sums = {n: v for n, v in request.headers.items() if n.startswith("x-amz-checksum")}
        assert sums == {"x-amz-checksum-crc32": checksum.value}


async def test_a_source_is_read_once_for_its_checksum() -> None:
    layers, source = Layers(Answer()), Source(b"body")
    await client_of(layers).put_object("b", "k", source, PutOptions())
    assert source.opened == 1
    assert layers.requests[0].headers["x-amz-checksum-crc64nvme"] == compute("CRC64NVME", b"body").value
    assert layers.requests[0].body is source


async def test_checksums_are_asked_for_and_verified_only_where_wanted() -> None:
    body = {**headers_of_object(b"x"), "x-amz-checksum-crc64nvme": compute("CRC64NVME", b"other").value}
    layers = Layers(Answer(b"x", body))
    async with await client_of(layers, validate=False).get_object("b", "k", GetOptions()) as reader:
        assert await reader.read() == b"x"
    assert "x-amz-checksum-mode" not in layers.requests[0].headers


async def test_head_ignores_a_range() -> None:
    layers = Layers(Answer(headers=headers_of_object(b"12345")))
    head = await client_of(layers).head_object("b", "k", GetOptions(range=ByteRange(1, 2)))
    assert head.size == 5
    assert "range" not in layers.requests[0].headers


async def test_a_part_of_an_object_is_read_as_the_range_that_it_is() -> None:
    headers = {**headers_of_object(b"part"), "content-range": "bytes 10-13/20"}
    layers = Layers(Answer(b"part", headers, status=206), Answer(b"part", headers_of_object(b"part")))
    client = client_of(layers)
    async with await client.get_object("b", "k", GetOptions(part_number=2)) as reader:
        assert (reader.range, reader.head.size) == (ByteRange(10, 14), 20)
        assert await reader.read() == b"part"
    async with await client.get_object("b", "k", GetOptions(part_number=1)) as reader:
        assert reader.range == ByteRange(0, 4)


async def test_an_answer_that_cannot_be_read_is_closed() -> None:
    answer = Answer(b"x", {})
    with pytest.raises(S3IntegrityError, match="size"):
        await client_of(Layers(answer)).get_object("b", "k", GetOptions())
    assert answer.closed


@pytest.mark.parametrize(
    "request_of",
    [
        lambda client: client.get_object("b", "k", GetOptions(encryption=KEY)),
        lambda client: client.head_object("b", "k", GetOptions(encryption=KEY)),
        lambda client: client.put_object("b", "k", b"x", PutOptions(encryption=KEY)),
        lambda client: client.copy_object("b", "k", CopySource("b", "s", encryption=KEY), CopyOptions()),
        lambda client: client.upload_part("b", "k", "u", 1, b"x", PartOptions(encryption=KEY)),
        lambda client: client.presign(objects.get_object("b", "k", GetOptions(encryption=KEY)), 60),
    ],
    ids=["get", "head", "put", "copy", "part", "presign"],
)
async def test_an_sse_c_key_never_goes_over_plain_http(request_of: object) -> None:
    layers = Layers()
    with pytest.raises(ConfigError, match="plain http") as caught:
        await request_of(client_of(layers, url="http://store.example.com"))  # type: ignore[operator]
    assert layers.requests == []
    assert "kkk" not in repr(caught.value)


@pytest.mark.parametrize("url", ["https://store.example.com", "http://127.0.0.1:9000"])
async def test_an_sse_c_key_goes_over_tls_and_to_this_machine(url: str) -> None:
    layers = Layers(Answer(headers=headers_of_object(b"")))
    await client_of(layers, url=url).head_object("b", "k", GetOptions(encryption=KEY))
    assert "x-amz-server-side-encryption-customer-key" in layers.requests[0].headers


async def test_an_upload_in_parts_is_begun_with_the_default_checksum() -> None:
    created = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    layers = Layers(Answer(created), Answer(created))
    client = client_of(layers)
    assert await client.create_multipart_upload("b", "k", PutOptions()) == "u1"
    await client.create_multipart_upload("b", "k", PutOptions(checksum_algorithm="none"))
    assert layers.requests[0].headers["x-amz-checksum-algorithm"] == "CRC64NVME"
    assert "x-amz-checksum-algorithm" not in layers.requests[1].headers


async def test_the_parts_of_an_object_are_read_page_by_page() -> None:
    def page(numbers: list[int], following: str) -> Answer:
        parts = "".join(f"<Part><PartNumber>{n}</PartNumber><Size>5</Size></Part>" for n in numbers)
        return Answer(
            b"<GetObjectAttributesResponse><ETag>e-3</ETag><ObjectSize>15</ObjectSize><ObjectParts>"
            b"<PartsCount>3</PartsCount>"
            + f"{following}{parts}</ObjectParts></GetObjectAttributesResponse>".encode()
        )

    more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>"
    layers = Layers(page([1, 2], more), page([3], "<IsTruncated>false</IsTruncated>"))
    attributes = await client_of(layers).get_object_attributes("b", "k", GetOptions())
    assert (attributes.size, attributes.etag, attributes.parts_count) == (15, "e-3", 3)
    assert [part.number for part in attributes.parts] == [1, 2, 3]
    assert layers.requests[1].headers["x-amz-part-number-marker"] == "2"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_objects_v2("b", "", ListOptions()),
        lambda client: client.list_object_versions("b", "", ListOptions()),
        lambda client: client.list_multipart_uploads("b"),
        lambda client: client.list_parts("b", "k", "u"),
        lambda client: client.copy_object("b", "k", CopySource("b", "s"), CopyOptions()),
        lambda client: client.get_object_tagging("b", "k"),
        lambda client: client.get_object_acl("b", "k"),
        lambda client: client.create_multipart_upload("b", "k", PutOptions()),
        lambda client: client.get_object_attributes("b", "k", GetOptions()),
    ],
    ids=["list", "versions", "uploads", "parts", "copy", "tags", "acl", "create", "attributes"],
)
async def test_an_answer_that_is_not_s3s_is_an_error_with_a_name(call: object) -> None:
    layers = Layers(Answer(b"<html>welcome</html>", {"x-amz-request-id": "r1"}))
    with pytest.raises(S3GenericError) as caught:
        await call(client_of(layers))  # type: ignore[operator]
    assert caught.value.code == "MalformedAnswer"
    assert (caught.value.bucket, caught.value.request_id) == ("b", "r1")
    assert caught.value.hint


async def test_a_restore_tells_whether_it_was_asked_for_now() -> None:
    client = client_of(Layers(Answer(status=202), Answer(status=200)))
    assert await client.restore_object("b", "k", RestoreOptions())
    assert not await client.restore_object("b", "k", RestoreOptions())


async def test_what_presigning_needs_is_the_signers() -> None:
    client = client_of(Layers())
    signed = await client.presign(objects.get_object("b", "k"), 3600)
    assert signed.url.startswith("https://s3.example.com/b/k?")
    assert "X-Amz-Expires=3600" in signed.url
    assert "AKIDEXAMPLE%2F20231114%2Fus-east-1" in signed.url
    form = await client.presign_post("b", PostPolicy(key="k"), 3600)
    assert form.fields["key"] == "k"


async def test_anonymous_access_cannot_presign() -> None:
    with pytest.raises(ConfigError, match="anonymous"):
        await client_of(Layers(), credentials=None).presign(objects.get_object("b", "k"), 60)


async def test_a_batch_has_an_outcome_for_each_key_in_order() -> None:
    refused = b"<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    body = b"<DeleteResult>" + refused + b"</DeleteResult>"
    outcomes = await client_of(Layers(Answer(body))).delete_objects(
        "b", [DeleteItem("a"), DeleteItem("b"), DeleteItem("c")]
    )
    assert [outcome.key for outcome in outcomes] == ["a", "b", "c"]
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]


async def test_every_answer_is_closed() -> None:
    answers = [Answer(), Answer(), Answer(headers={"x-amz-bucket-region": "eu-central-1"})]
    client = client_of(Layers(*answers))
    await client.abort_multipart_upload("b", "k", "u")
    await client.delete_bucket("b")
    assert await client.head_bucket("b") == "eu-central-1"
    assert all(answer.closed for answer in answers)
