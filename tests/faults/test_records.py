"""What an API does wrong, each by itself: where a record goes, what the job makes of it, how it goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.records.working import csv_of, delivered, ids, working

from haulyard.errors import ApiDenied, ApiUnavailable, ConfigError
from haulyard.events import CallsPaused
from haulyard.records.target import Api, HttpTarget
from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

#: So many records that everything failing is told apart from some that fail.
MANY = 300


async def test_server_errors_in_bursts_are_tried_again_until_all_is_delivered(tmp_path: Path) -> None:
    async with ApiServer(Rule(500, where=lambda call: call.number % 100 < 20)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(MANY)})
        work.carried_out(attempts=10)
        outcome = await work.run()
        assert outcome.is_finished
        assert sorted(delivered(api.calls)) == list(range(MANY))
        assert outcome.account.delivered == MANY
        assert outcome.account.errors["HTTP 500"] == sum(call.status == 500 for call in api.calls)


@pytest.mark.parametrize("rule", [Rule(reset="before", every=10), Rule(reset="after", every=10)])
async def test_a_connection_that_is_reset_costs_an_attempt_and_no_record(tmp_path: Path, rule: Rule) -> None:
    async with ApiServer(rule) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(MANY)})
        work.carried_out(attempts=10)
        assert (await work.run()).account.delivered == MANY
        assert sorted(set(delivered(api.calls))) == list(range(MANY))


async def test_a_call_that_is_not_answered_is_made_again_with_the_same_key(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True, contains='"3"', times=1)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(20)})
        # Long enough for those that are answered, on any machine.
        work.carried_out(timeout=1.0)
        assert (await work.run()).is_finished
        keys = [call.key for call in api.calls if ids(call) == [3]]
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert len({call.key for call in api.calls}) == 20


async def test_answers_that_break_off_are_no_answers(tmp_path: Path) -> None:
    async with ApiServer(Rule(half=True, body="x" * 1000, every=5)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(50)})
        work.carried_out(attempts=10)
        assert (await work.run()).account.delivered == 50


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_pauses_all_calls(tmp_path: Path, *, as_date: bool) -> None:
    async with ApiServer(Rule(429, retry_after=1, as_date=as_date, contains='"50"', times=1)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(200)})
        work.carried_out(max_in_flight=10)
        told: list[tuple[CallsPaused, float, int]] = []

        def emit(event: object) -> None:
            if isinstance(event, CallsPaused):
                told.append((event, time.monotonic(), len(api.calls)))

        work.around = replace(work.around, emit=emit)
        assert (await work.run()).account.delivered == 200
        ((pause, began, count),) = told
        assert "429" in pause.reason
        assert as_date or pause.seconds >= 1
        # What was on its way may still arrive; the rest of the pause is left to a machine that stands still
        # between the pause and its being told.
        meanwhile = [call for call in api.calls[count:] if call.time < began + pause.seconds / 2]
        assert len(meanwhile) < 10


async def test_too_many_requests_without_a_time_pause_by_themselves(tmp_path: Path) -> None:
    async with ApiServer(Rule(429, times=1)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(20)})
        outcome = await work.run()
        assert (outcome.account.delivered, outcome.account.refused) == (20, 1)
        assert api.calls[1].time - api.calls[0].time >= 0.9


async def test_being_throttled_uses_up_no_attempts(tmp_path: Path) -> None:
    async with ApiServer(Rule(429, retry_after=0.01, times=4)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(5)})
        work.carried_out(attempts=2)
        outcome = await work.run()
        assert (outcome.account.delivered, outcome.account.failed) == (5, 0)


async def test_an_error_in_a_200_is_the_records_own_where_success_says_so(tmp_path: Path) -> None:
    async with ApiServer(Rule(body='{"status":"no"}', contains='"7"')) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(20)}, success="status == 'ok'")
        outcome = await work.run()
        assert (outcome.account.delivered, outcome.account.rejected) == (19, 1)
        (kept,) = work.letters()
        assert kept.letter.answer == b'{"status":"no"}'
        assert kept.letter.record == b'{"id":"7","name":"n7"}'


@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("status", [422, 500])
async def test_poison_is_found_among_the_records_of_a_call_and_buried_alone(
    tmp_path: Path, size: int, status: int
) -> None:
    poison = {5, 6, 77, 130}
    async with ApiServer(
        Rule(status, where=lambda call: not poison.isdisjoint(ids(call)), body='{"why":"poison"}')
    ) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(MANY)}, records_per_call=size)
        work.carried_out(patience=60.0)
        outcome = await work.run()
        assert outcome.is_finished
        assert sorted(delivered(api.calls)) == [each for each in range(MANY) if each not in poison]
        assert outcome.account.failures == len(poison)
        letters = [each.letter for each in work.letters()]
        assert {int(each.record.split(b'"')[3]) for each in letters} == poison
        assert {each.kind for each in letters} == {"rejected" if status == 422 else "failed"}
        assert {each.status for each in letters} == {status}
        assert {each.attempts for each in letters} == {1 if status == 422 else 3}


async def test_an_unreachable_endpoint_ends_the_run_at_once_and_nothing_counts_as_tried(
    tmp_path: Path,
) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(MANY)})
        api.die()
        with pytest.raises(ApiUnavailable, match="cannot be used"):
            await work.run()
        assert work.marked() == 0
        assert work.letters() == []
        api.come_back()
        assert (await work.run()).account.delivered == MANY
        assert sorted(delivered(api.calls)) == list(range(MANY))


async def test_a_server_that_dies_is_waited_for(tmp_path: Path) -> None:
    async with ApiServer(Rule(delay=0.002)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(2000)})
        work.carried_out(patience=30.0, attempts=10)

        def emit(event: Any) -> None:
            work.events.append(event)
            if isinstance(event, CallsPaused):
                api.come_back()

        work.around = replace(work.around, emit=emit)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=500)
        api.die()
        outcome = await running
        assert outcome.account.delivered == 2000
        assert outcome.account.failures == 0
        assert sorted(set(delivered(api.calls))) == list(range(2000))


async def test_a_server_that_stays_away_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    async with ApiServer(Rule(delay=0.002)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(2000)})
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=500)
        api.die()
        with pytest.raises(ApiUnavailable):
            await running
        assert 0 < work.marked() < 2000
        assert work.letters() == []
        api.come_back()
        assert (await work.run()).account.delivered == 2000
        assert sorted(set(delivered(api.calls))) == list(range(2000))


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("size", [1, 7])
async def test_a_caller_who_is_refused_stops_and_no_record_is_marked(
    tmp_path: Path, status: int, size: int
) -> None:
    async with ApiServer(Rule(status)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(MANY)}, records_per_call=size)
        with pytest.raises(ApiDenied) as caught:
            await work.run()
        assert caught.value.status == status
        assert (len(api.calls), work.marked(), work.letters()) == (1, 0, [])
        api.script()
        assert (await work.run()).account.delivered == MANY


@pytest.mark.parametrize(("size", "most"), [(1, 200), (7, 600), (1000, 250)])
async def test_an_api_that_takes_nothing_stops_the_job_before_there_are_dead_letters(
    tmp_path: Path, size: int, most: int
) -> None:
    async with ApiServer(Rule(400)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(5000)}, records_per_call=size)
        with pytest.raises(ApiUnavailable) as caught:
            await work.run()
        assert caught.value.status == 400
        assert len(api.calls) <= most
        assert (work.marked(), work.letters()) == (0, [])
        api.script()
        assert (await work.run()).account.delivered == 5000


async def test_a_few_records_that_all_fail_are_dead_letters(tmp_path: Path) -> None:
    async with ApiServer(Rule(400)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(99)})
        outcome = await work.run()
        assert outcome.is_finished
        assert (outcome.account.rejected, len(work.letters())) == (99, 99)
        api.script()
        again = await work.run(retry_failed=True)
        assert (again.account.delivered, again.account.failures, work.letters()) == (99, 0, [])


async def test_a_redirect_is_not_followed_and_says_where_the_api_is(tmp_path: Path) -> None:
    headers = {"location": "https://elsewhere.example/v2?token=s3cret"}
    async with ApiServer(Rule(308, headers=headers)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(20)})
        with pytest.raises(ConfigError, match=r"the API is at https://elsewhere\.example/v2") as caught:
            await work.run()
        assert "s3cret" not in str(caught.value)
        assert (len(api.calls), work.marked()) == (1, 0)


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with ApiServer(Rule(body="x" * 200_000, contains='"3"')) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(20)})
        target = HttpTarget(Api(api.url, longest=100_000), work.around.settings, {})
        work.around = replace(work.around, target=target)
        outcome = await work.run()
        assert (outcome.account.delivered, outcome.account.failed) == (19, 1)
        (kept,) = work.letters()
        assert "longer than 100000 bytes" in kept.letter.reason


async def test_headers_that_are_not_ascii_do_no_harm(tmp_path: Path) -> None:
    async with ApiServer(
        Rule(429, headers={"retry-after": "später", "x-grüße": "y"}, times=1),
        Rule(headers={"x-note": "schön"}),
    ) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(20)})
        assert (await work.run()).account.delivered == 20


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an API does whose answer to record 3 never ends."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            if b'"3"' not in body:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                continue
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def test_an_answer_that_never_ends_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    server = await asyncio.start_server(_trickle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        work = await working(tmp_path, f"http://127.0.0.1:{port}/", {"a.csv": csv_of(20)})
        work.carried_out(timeout=1.0, attempts=2)
        outcome = await asyncio.wait_for(work.run(), 30)
        assert (outcome.account.delivered, outcome.account.failed) == (19, 1)
        (kept,) = work.letters()
        assert (kept.letter.attempts, kept.letter.status) == (2, 0)
