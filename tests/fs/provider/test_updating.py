"""Updates of many writers: none is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError, Conflict, NotFound, S3NetworkError, S3PreconditionFailed
from haulyard.fs import updating
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updating, "_CONFLICT_BASE", 0.0005)
    monkeypatch.setattr(updating, "_RETRY_BASE", 0.0005)


def more(old: bytes) -> bytes:
    return b"%d" % (int(old or b"0") + 1)


async def increment(provider: S3Provider, times: int) -> None:
    for _ in range(times):
        await provider.update("counter", more)


async def test_twenty_times_fifty_increments_end_at_a_thousand(on_faults: Config, opened: Open) -> None:
    # Each has its own cache and locks, as in processes of their own; five tasks share one.
    providers = [opened(on_faults()) for _ in range(4)]
    await asyncio.gather(*(increment(providers[number % 4], 50) for number in range(20)))
    assert await providers[0].read_file("counter") == b"1000"
    assert sum(provider.metrics.requests["PutObject"].errors for provider in providers) > 0


async def test_so_it_is_on_a_real_store(on_seaweedfs: Config, opened: Open) -> None:
    providers = [opened(on_seaweedfs()) for _ in range(3)]
    await asyncio.gather(*(increment(provider, 10) for provider in providers))
    assert await providers[0].read_file("counter") == b"30"


async def test_a_file_keeps_what_it_has(provider: S3Provider) -> None:
    await provider.write_file("a.csv", b"1", metadata={"by": "me"}, tags={"t": "1"}, cache_control="no-store")
    node = await provider.update("a.csv", more)
    assert (node.content_type, node.metadata) == ("text/csv", {"by": "me"})
    assert await provider.get_metadata("a.csv") == {"by": "me"}
    assert await provider.get_object_tags("a.csv") == {"t": "1"}
    assert await provider.read_file("a.csv") == b"2"


async def test_what_does_not_change_is_not_written(scripted: S3Provider, faults: FaultServer) -> None:
    written = await scripted.write_file("a", b"same")
    await scripted._volume.proved()
    seen = len(faults.requests)
    node = await scripted.update("a", lambda old: old)
    assert (node.etag, node.size) == (written.etag, 4)
    assert [each.operation for each in faults.requests[seen:]] == ["GetObject"]


async def test_a_change_may_be_a_coroutine(scripted: S3Provider) -> None:
    async def change(old: bytes) -> bytes:
        await asyncio.sleep(0)
        return old + b"!"

    assert (await scripted.update("a", change)).size == 1
    await scripted.update("a", change)
    assert await scripted.read_file("a") == b"!!"


async def test_a_missing_file_is_created_or_missed(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted.update("a", lambda old: old + b"new", missing=b"brand ")
    assert await scripted.read_file("a") == b"brand new"
    with pytest.raises(NotFound):
        await scripted.update("b", more, missing=None)
    assert ("bucket", "tenants/7/b") not in faults.objects


async def test_errors_of_the_change_are_raised_and_nothing_is_written(scripted: S3Provider) -> None:
    await scripted.write_file("a", b"no number")
    with pytest.raises(ValueError, match="invalid literal"):
        await scripted.update("a", more)
    with pytest.raises(TypeError, match="encode"):
        await scripted.update("a", lambda _: "text")  # type: ignore[arg-type,return-value]  # the mistake
    assert await scripted.read_file("a") == b"no number"


async def test_it_is_not_tried_for_ever(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted.write_file("a", b"0")
    others = iter(range(1, 100))

    def meanwhile(old: bytes) -> bytes:
        faults.objects["bucket", "tenants/7/a"] = b"%d" % next(others)
        return old + b"!"

    with pytest.raises(S3PreconditionFailed) as caught:
        await scripted.update("a", meanwhile, attempts=3)
    assert next(others) == 4
    assert caught.value.wanted != caught.value.found
    with pytest.raises(ConfigError):
        await scripted.update("a", more, attempts=0)


async def test_a_conflict_that_the_store_names_is_tried_again(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await scripted.write_file("counter", b"1")
    await scripted._volume.proved()
    body = "<Error><Code>ConditionalRequestConflict</Code></Error>"
    faults.script(Fault("PutObject", key="tenants/7/counter", status=409, body=body, attempts=(1, 2)))
    await scripted.update("counter", more)
    assert await scripted.read_file("counter") == b"2"


async def test_a_lost_answer_does_not_count_twice(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted.write_file("counter", b"1")
    await scripted._volume.proved()
    faults.script(Fault("PutObject", key="tenants/7/counter", close_without_answer=True, before=True))
    await scripted.update("counter", more)
    assert await scripted.read_file("counter") == b"2"


async def test_what_is_encrypted_with_a_customer_key_is_updated(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(encryption=Encryption("SSE-C", customer_key=Secret(b"k" * 32))))
    for _ in range(2):
        await provider.update("counter", more)
    assert await provider.read_file("counter") == b"2"


async def test_what_fails_for_a_moment_is_called_again(scripted: S3Provider) -> None:
    calls = []

    async def shaky(number: int, *, then: str) -> str:
        calls.append(number)
        if len(calls) < 4:
            raise Conflict("not now") if len(calls) % 2 else S3NetworkError("lost")
        return then

    assert await scripted.with_retry(shaky, 7, then="done") == "done"
    assert calls == [7] * 4
    calls.clear()

    async def failing(error: Exception) -> None:
        calls.append(0)
        raise error

    with pytest.raises(Conflict):
        await scripted.with_retry(failing, Conflict("never"))
    assert len(calls) == 5
    with pytest.raises(NotFound):
        await scripted.with_retry(failing, NotFound("for good"))
    assert len(calls) == 6
