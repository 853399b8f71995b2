"""A body is whole and verified, or an error: resumed where it broke off, never mixed, never short."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from haulyard.checksums import compute
from haulyard.config import Settings
from haulyard.errors import (
    S3GenericError,
    S3IntegrityError,
    S3NetworkError,
    S3NotFound,
    S3PreconditionFailed,
    TransportError,
)
from haulyard.models import ByteRange, GetOptions
from haulyard.s3 import reading
from haulyard.s3.client import S3Client
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import Self

    from haulyard.s3.client import Addressing
    from haulyard.s3.reading import S3Reader
    from haulyard.s3.request import Request

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 8_000  # 2,048,000 bytes
WHOLE = GetOptions()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        running.objects["bucket", "k"] = DATA
        running.objects["bucket", "empty"] = b""
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
async def client(server: FaultServer, pauses: list[float]) -> AsyncIterator[S3Client]:
    settings = Settings(endpoint_url=server.url, region="us-east-1", retries=2, retry_base_delay=0.0)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with Connection(settings, credentials=Credentials("id", "key")) as connection:
        yield S3Client(
            connection.client._layers,
            signer=connection.signer,
            credentials=connection.current_credentials,
            sleep=sleep,
        )


async def whole(reader: S3Reader) -> bytes:
    async with reader:
        return await reader.read()


async def chunked(reader: S3Reader) -> bytes:
    async with reader:
        return b"".join([bytes(chunk) async for chunk in reader.chunks()])


WAYS = pytest.mark.parametrize("way", [whole, chunked])


@WAYS
async def test_a_whole_body_comes_in_one_request(client: S3Client, server: FaultServer, way: object) -> None:
    reader = await client.get_object("bucket", "k", WHOLE)
    assert await way(reader) == DATA  # type: ignore[operator]
    assert [request.operation for request in server.requests] == ["GetObject"]
    assert server.requests[0].headers["x-amz-checksum-mode"] == "ENABLED"


@WAYS
@pytest.mark.parametrize("fault", [{"reset_after": 700_000}, {"truncate": 700_000}])
async def test_a_body_that_breaks_off_goes_on_where_it_stopped(
    client: S3Client, server: FaultServer, way: object, fault: dict[str, int]
) -> None:
    server.script(Fault("GetObject", times=1, **fault))  # type: ignore[arg-type]
    reader = await client.get_object("bucket", "k", WHOLE)
    assert await way(reader) == DATA  # type: ignore[operator]
    first, second = server.requests
    assert second.headers["if-match"] == f'"{reader.head.etag}"'
    assert second.headers["range"].startswith("bytes=")
    assert second.headers["range"].endswith(f"-{len(DATA) - 1}")
    assert "range" not in first.headers


async def test_what_has_arrived_is_not_asked_for_again(client: S3Client, server: FaultServer) -> None:
    server.script(Fault("GetObject", truncate=700_000, times=1))
    async with await client.get_object("bucket", "k", WHOLE) as reader:
        arrived = [bytes(chunk) async for chunk in reader.chunks()]
    assert b"".join(arrived) == DATA
    start = int(server.requests[1].headers["range"].removeprefix("bytes=").partition("-")[0])
    assert 0 < start <= 700_000


async def test_every_byte_that_arrives_starts_the_count_anew(
    client: S3Client, server: FaultServer, pauses: list[float]
) -> None:
    server.script(Fault("GetObject", truncate=600_000, attempts="all"))
    reader = await client.get_object("bucket", "k", WHOLE)
    assert await chunked(reader) == DATA
    assert len(pauses) >= 3
    assert max(pauses) <= 0.1


class Barren:
    """An answer whose body breaks before its first byte, or is not as long as it should be."""

    attempts = 1

    def __init__(self, request: Request, body: bytes | None = None) -> None:
        asked = request.headers.get("range", "").removeprefix("bytes=")
        self.status = 206 if asked else 200
        self.headers: Mapping[str, str] = {"content-length": "10", "etag": '"e"'}
        if asked:
            self.headers = {"content-range": f"bytes {asked}/10", "etag": '"e"'}
        self.body = b""
        self._sent = body

    async def read(self) -> bytes:
        if self._sent is None:
            raise TransportError("reset")
        return self._sent

    async def chunks(self) -> AsyncIterator[bytes]:
        yield await self.read()

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def stubbed(*bodies: bytes | None, pauses: list[float]) -> S3Client:
    left = list(bodies)

    async def send(request: Request) -> Barren:
        return Barren(request, left.pop(0) if left else None)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def nobody() -> None: ...

    return S3Client(send, signer=cast("Addressing", None), credentials=nobody, sleep=sleep)


@WAYS
async def test_a_body_that_brings_nothing_is_given_up(pauses: list[float], way: object) -> None:
    reader = await stubbed(pauses=pauses).get_object("bucket", "k", WHOLE)
    with pytest.raises(S3NetworkError) as caught:
        await way(reader)  # type: ignore[operator]
    assert (caught.value.bucket, caught.value.key, caught.value.kind) == ("bucket", "k", "reset")
    assert len(pauses) == reading.MAX_FRUITLESS


@WAYS
async def test_every_byte_that_arrives_starts_the_count_of_fruitless_tries_anew(
    pauses: list[float], way: object
) -> None:
    barren = [None] * (reading.MAX_FRUITLESS - 1)
    client = stubbed(*barren, b"01234", *barren, b"56789", pauses=pauses)
    reader = await client.get_object("bucket", "k", WHOLE)
    assert await way(reader) == b"0123456789"  # type: ignore[operator]


@WAYS
async def test_a_body_that_ends_early_in_good_order_is_resumed(pauses: list[float], way: object) -> None:
    client = stubbed(b"0123", b"0123456789", pauses=pauses)
    reader = await client.get_object("bucket", "k", WHOLE)
    if way is whole:
        assert await whole(reader) == b"0123456789"
    else:
        with pytest.raises(S3IntegrityError, match="more"):
            await chunked(reader)


@WAYS
async def test_more_bytes_than_announced_are_an_error(pauses: list[float], way: object) -> None:
    reader = await stubbed(b"0123456789abc", pauses=pauses).get_object("bucket", "k", WHOLE)
    with pytest.raises(S3IntegrityError, match="3 bytes more"):
        await way(reader)  # type: ignore[operator]


async def test_a_connection_that_breaks_behind_the_last_byte_has_brought_all() -> None:
    class LateBreak(Barren):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield b"0123456789"
            raise TransportError("reset")

    async def send(request: Request) -> Barren:
        return LateBreak(request)

    async def nobody() -> None: ...

    client = S3Client(send, signer=cast("Addressing", None), credentials=nobody)
    assert await chunked(await client.get_object("bucket", "k", WHOLE)) == b"0123456789"


@WAYS
async def test_an_object_replaced_between_two_ranges_is_never_mixed(
    client: S3Client, server: FaultServer, way: object
) -> None:
    server.script(
        Fault("GetObject", truncate=700_000, times=1),
        Fault("GetObject", change_etag=True, where=lambda request: "range" in request.headers),
    )
    reader = await client.get_object("bucket", "k", WHOLE)
    with pytest.raises(S3PreconditionFailed):
        await way(reader)  # type: ignore[operator]


@pytest.mark.parametrize("etag", ['"0123456789abcdef0123456789abcdef"', None])
async def test_a_store_that_ignores_if_match_is_found_out(
    client: S3Client, server: FaultServer, etag: str | None
) -> None:
    server.script(
        Fault("GetObject", truncate=700_000, times=1),
        Fault("GetObject", headers={"etag": etag}, where=lambda request: "range" in request.headers),
    )
    reader = await client.get_object("bucket", "k", WHOLE)
    with pytest.raises(S3PreconditionFailed, match="replaced"):
        await chunked(reader)


async def test_a_store_without_etags_is_resumed_by_its_time(client: S3Client, server: FaultServer) -> None:
    server.script(
        Fault("GetObject", truncate=700_000, headers={"etag": None}, times=1),
        Fault("GetObject", headers={"etag": None}, attempts="all"),
    )
    reader = await client.get_object("bucket", "k", WHOLE)
    assert await chunked(reader) == DATA
    assert "if-match" not in server.requests[1].headers


async def test_a_store_without_etags_shows_a_replacement_by_its_size(
    client: S3Client, server: FaultServer
) -> None:
    server.script(
        Fault("GetObject", truncate=700_000, headers={"etag": None}, times=1),
        Fault("GetObject", headers={"etag": None}, change_etag=DATA + b"more", attempts="all"),
    )
    reader = await client.get_object("bucket", "k", WHOLE)
    with pytest.raises((S3PreconditionFailed, S3IntegrityError)):
        await chunked(reader)


@pytest.mark.parametrize("spoiled", ["whole", "missing", "wrong"])
async def test_a_range_that_is_not_the_one_asked_for_is_rejected(
    client: S3Client, server: FaultServer, spoiled: str
) -> None:
    server.script(Fault("GetObject", wrong_range=spoiled, attempts="all"))  # type: ignore[arg-type]
    with pytest.raises(S3IntegrityError):
        await client.get_object("bucket", "k", GetOptions(range=ByteRange(10, 20)))
    server.script(
        Fault("GetObject", truncate=700_000, times=1),
        Fault("GetObject", wrong_range=spoiled, attempts="all"),  # type: ignore[arg-type]
    )
    reader = await client.get_object("bucket", "k", WHOLE)
    with pytest.raises(S3IntegrityError):
        await chunked(reader)


async def test_a_range_that_was_not_asked_for_is_rejected(client: S3Client, server: FaultServer) -> None:
    server.script(
        Fault("GetObject", status=206, body=b"abc", headers={"content-range": "bytes 0-2/3", "etag": '"x"'})
    )
    with pytest.raises(S3IntegrityError, match="asked for whole"):
        await client.get_object("bucket", "k", WHOLE)


@WAYS
async def test_a_body_that_does_not_have_its_checksum_is_rejected(
    client: S3Client, server: FaultServer, way: object
) -> None:
    wrong = compute("CRC64NVME", b"other").value
    server.script(Fault("GetObject", headers={"x-amz-checksum-crc64nvme": wrong}))
    reader = await client.get_object("bucket", "k", WHOLE)
    with pytest.raises(S3IntegrityError, match="CRC64NVME") as caught:
        await way(reader)  # type: ignore[operator]
    assert caught.value.hint


@WAYS
async def test_a_resumed_body_is_verified_as_a_whole(
    client: S3Client, server: FaultServer, way: object
) -> None:
    checksum = compute("SHA256", DATA)
    right = {
        "x-amz-checksum-sha256": checksum.value,
        "x-amz-checksum-crc64nvme": None,
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    server.script(Fault("GetObject", truncate=700_000, times=1, headers=right))
    reader = await client.get_object("bucket", "k", WHOLE)
    assert reader.head.checksums == (checksum,)
    assert await way(reader) == DATA  # type: ignore[operator]
    wrong = {**right, "x-amz-checksum-sha256": compute("SHA256", b"").value}
    server.script(Fault("GetObject", truncate=500_000, times=1, headers=wrong))
    with pytest.raises(S3IntegrityError):
        await way(await client.get_object("bucket", "k", WHOLE))  # type: ignore[operator]


async def test_a_composite_checksum_is_not_compared_with_bytes(client: S3Client, server: FaultServer) -> None:
    composite = {"x-amz-checksum-crc32": "AAAAAA==-3", "x-amz-checksum-type": "COMPOSITE"}
    server.script(Fault("GetObject", headers={**composite, "x-amz-checksum-crc64nvme": None}))
    assert await whole(await client.get_object("bucket", "k", WHOLE)) == DATA


async def test_a_range_is_read_exactly_and_resumed_within_itself(
    client: S3Client, server: FaultServer
) -> None:
    server.script(Fault("GetObject", truncate=500, times=1))
    async with await client.get_object("bucket", "k", GetOptions(range=ByteRange(1_000, 3_000))) as reader:
        assert reader.range == ByteRange(1_000, 3_000)
        assert await reader.read() == DATA[1_000:3_000]
    assert server.requests[1].headers["range"] in {"bytes=1500-2999", "bytes=1000-2999"}


async def test_a_version_is_resumed_as_that_version(client: S3Client, server: FaultServer) -> None:
    server.script(Fault("GetObject", truncate=700_000, times=1))
    reader = await client.get_object("bucket", "k", GetOptions(version_id="null"))
    assert await chunked(reader) == DATA
    assert server.requests[1].parameters["versionId"] == "null"


@pytest.mark.parametrize("asked", [ByteRange(0), ByteRange(0, 10), ByteRange(-10)])
async def test_an_empty_object_answers_a_range_from_its_start_with_nothing(
    client: S3Client, asked: ByteRange
) -> None:
    async with await client.get_object("bucket", "empty", GetOptions(range=asked)) as reader:
        assert reader.range == ByteRange(0, 0)
        assert reader.head.size == 0
        assert await reader.read() == b""
        assert [chunk async for chunk in reader.chunks()] == []
        await reader.close()


async def test_a_store_may_ignore_the_range_of_an_empty_object(client: S3Client, server: FaultServer) -> None:
    server.script(Fault("GetObject", status=200, body=b"", headers={"etag": '"x"'}))
    async with await client.get_object("bucket", "empty", GetOptions(range=ByteRange(-5))) as reader:
        assert await reader.read() == b""


@pytest.mark.parametrize(
    "asked", [ByteRange(len(DATA)), ByteRange(9_999_999, 9_999_999_999), ByteRange(7, 7)]
)
async def test_a_range_of_nothing_is_an_invalid_range(client: S3Client, asked: ByteRange) -> None:
    with pytest.raises(S3GenericError) as caught:
        await client.get_object("bucket", "k", GetOptions(range=asked))
    assert caught.value.code == "InvalidRange"


async def test_a_refusal_of_a_range_from_the_start_of_bytes_is_told(
    client: S3Client, server: FaultServer
) -> None:
    server.script(Fault("GetObject", status=416))
    with pytest.raises(S3GenericError) as caught:
        await client.get_object("bucket", "k", GetOptions(range=ByteRange(0, 5)))
    assert caught.value.code == "InvalidRange"


async def test_what_is_not_there_is_not_found(client: S3Client) -> None:
    with pytest.raises(S3NotFound):
        await client.get_object("bucket", "absent", WHOLE)


async def test_a_large_body_is_read_in_pieces(
    client: S3Client, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_IN_ONE", 1_000_000)
    server.script(Fault("GetObject", truncate=1_500_000, times=1))
    assert await whole(await client.get_object("bucket", "k", WHOLE)) == DATA
    assert server.requests[1].headers["range"].startswith("bytes=1")


async def test_a_reader_closed_early_gives_its_connection_up(client: S3Client) -> None:
    reader = await client.get_object("bucket", "k", WHOLE)
    chunks = reader.chunks()
    assert await anext(chunks)
    await chunks.aclose()  # type: ignore[attr-defined]
    await reader.close()
    await reader.close()
    assert await whole(await client.get_object("bucket", "k", WHOLE)) == DATA
