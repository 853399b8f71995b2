from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import TransportError
from haulyard.http import UNREADABLE
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from haulyard.http import HttpResponse

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 4096  # 1 MiB


async def by_chunks(response: HttpResponse) -> bytes:
    return b"".join([chunk async for chunk in response.chunks()])


async def whole(response: HttpResponse) -> bytes:
    return await response.read()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1 << 20])
@pytest.mark.parametrize("read", [whole, by_chunks])
async def test_a_body_arrives_whole(asking: Any, server: FaultServer, size: int, read: Any) -> None:
    server.objects["bucket", "key"] = CONTENT[:size]
    response = await asking.send("GET", "/bucket/key")
    assert response.status == 200
    assert await read(response) == CONTENT[:size]
    await response.close()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault("GetObject", truncate=700_000), "body"), (Fault("GetObject", reset_after=700_000), "reset")],
    ids=["cut", "reset"],
)
@pytest.mark.parametrize("read", [whole, by_chunks])
async def test_a_body_that_breaks_off_is_never_a_short_one(
    asking: Any, server: FaultServer, fault: Fault, kind: str, read: Any
) -> None:
    server.objects["bucket", "key"] = CONTENT
    server.script(fault)
    response = await asking.send("GET", "/bucket/key")
    with pytest.raises(TransportError) as broken:
        await read(response)
    assert (broken.value.kind, broken.value.sent) == (kind, True)
    assert await whole(await asking.send("GET", "/bucket/key")) == CONTENT


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault("GetObject", truncate=10), "body"), (Fault("GetObject", reset_after=10), "reset")],
    ids=["cut", "reset"],
)
async def test_a_body_that_breaks_off_at_its_beginning_is_a_request_that_failed(
    asking: Any, server: FaultServer, fault: Fault, kind: str
) -> None:
    server.objects["bucket", "key"] = CONTENT
    server.script(fault)
    with pytest.raises(TransportError) as broken:
        await asking.send("GET", "/bucket/key")
    assert (broken.value.kind, broken.value.sent) == (kind, True)


async def test_what_came_before_a_body_broke_off_can_be_kept(asking: Any, server: FaultServer) -> None:
    server.objects["bucket", "key"] = CONTENT
    server.script(Fault("GetObject", truncate=700_000))
    response = await asking.send("GET", "/bucket/key")
    kept = bytearray()

    async def keep() -> None:
        async for chunk in response.chunks():
            kept.extend(chunk)

    with pytest.raises(TransportError):
        await keep()
    assert bytes(kept) == CONTENT[: len(kept)]
    assert len(kept) >= 65_536


@pytest.mark.parametrize(
    "framing", [{"x-known": "yes"}, {"content-length": None, "connection": "close"}], ids=["known", "unknown"]
)
async def test_an_answer_longer_than_allowed_is_refused(
    asking: Any, server: FaultServer, framing: dict[str, str | None]
) -> None:
    server.objects["bucket", "key"] = CONTENT
    server.script(Fault("GetObject", headers=framing))
    response = await asking.send("GET", "/bucket/key")
    with pytest.raises(TransportError, match="longer than 1000 bytes"):
        await response.read(1000)
    assert response._stream is None


async def test_the_limit_itself_is_allowed_and_a_head_has_no_body_to_be_limited(
    asking: Any, server: FaultServer
) -> None:
    server.objects["bucket", "key"] = CONTENT
    assert await (await asking.send("GET", "/bucket/key")).read(1 << 20) == CONTENT
    response = await asking.send("HEAD", "/bucket/key")
    assert await response.read(10) == b""
    assert response.headers["content-length"] == str(1 << 20)


async def test_a_header_that_is_not_ascii_is_there_although_nobody_can_read_it(
    asking: Any, server: FaultServer
) -> None:
    server.script(Fault(headers={"x-amz-meta-name": "\xe4", "x-amz-meta-plain": "a"}))
    async with await asking.send("GET", "/bucket/key") as response:
        assert response.headers["x-amz-meta-name"] == UNREADABLE
        assert response.headers["x-amz-meta-plain"] == "a"
        assert response.headers["x-amz-request-id"]


async def test_closing_twice_is_harmless(asking: Any, server: FaultServer) -> None:
    server.objects["bucket", "key"] = CONTENT
    response = await asking.send("GET", "/bucket/key")
    await response.close()
    await response.close()
    assert await whole(await asking.send("GET", "/bucket/key")) == CONTENT
