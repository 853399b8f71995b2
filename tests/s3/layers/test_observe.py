from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.s3.layers.fakes import Inner, Time, answer, request

from haulyard.errors import S3NotFound, UnsafeName
from haulyard.events import RequestDone, ignore
from haulyard.s3.layers.observe import observe

if TYPE_CHECKING:
    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer

pytestmark = pytest.mark.anyio


class Trial:
    def __init__(self, outcome: HttpAnswer | Exception) -> None:
        self.time = Time()
        self.events: list[Any] = []
        inner = Inner(outcome)

        async def slowly(asked: Request) -> HttpAnswer:
            await self.time.sleep(2.0)
            return await inner(asked)

        self.send = observe(slowly, self.events.append, clock=self.time)


async def test_one_event_tells_of_an_answer() -> None:
    given = answer(200, headers={"x-amz-request-id": "ID"})
    given.attempts = 3
    trial = Trial(given)
    assert await trial.send(request("PutObject", "PUT", body=b"12345")) is given
    assert trial.events == [RequestDone("PutObject", "bucket", "key", 200, 3, 2.0, 5, 0, "ID", "")]


async def test_a_streamed_answer_is_told_of_when_it_has_ended() -> None:
    trial = Trial(answer(streamed=b"1234567"))
    async with await trial.send(request()) as given:
        assert trial.events == []
        await trial.time.sleep(3.0)
        assert await given.read() == b"1234567"
    (event,) = trial.events
    assert (event.received, event.seconds) == (7, 5.0)


async def test_a_streamed_answer_that_is_given_up_tells_how_much_came() -> None:
    trial = Trial(answer(streamed=b"1234567"))
    await (await trial.send(request())).close()
    assert trial.events[0].received == 0


async def test_an_error_is_told_of_once_it_is_final() -> None:
    trial = Trial(S3NotFound("no", status=404, code="NoSuchKey", request_id="ID", attempts=2))
    with pytest.raises(S3NotFound):
        await trial.send(request())
    assert trial.events == [RequestDone("GetObject", "bucket", "key", 404, 2, 2.0, 0, 0, "ID", "NoSuchKey")]


async def test_what_was_never_a_request_is_not_told_of() -> None:
    trial = Trial(UnsafeName("no"))
    with pytest.raises(UnsafeName):
        await trial.send(request())
    assert trial.events == []


async def test_where_nobody_listens_there_is_no_layer() -> None:
    inner = Inner()
    assert observe(inner, ignore) is inner


async def test_requests_that_nobody_wants_to_hear_of_are_not_told_of() -> None:
    events: list[Any] = []
    wanted = False
    send = observe(Inner(), events.append, wanted=lambda: wanted)
    await send(request())
    assert events == []
    wanted = True
    await send(request())
    assert len(events) == 1
