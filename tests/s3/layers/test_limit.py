from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from tests.s3.layers import virtual_time
from tests.s3.layers.fakes import Inner, Time, answer, request

from haulyard.events import Throttled
from haulyard.pacing.aimd import OFFSHOOT
from haulyard.s3.layers.limit import Limiter

if TYPE_CHECKING:
    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer

pytestmark = pytest.mark.anyio

SLOW_DOWN = (503, "SlowDown")


class Trial:
    """A limiter around a script, with its own time."""

    def __init__(self, *outcomes: HttpAnswer | Exception, concurrency: int = 4) -> None:
        self.inner = Inner(*outcomes)
        self.time = Time()
        self.events: list[Any] = []
        self.send = Limiter(
            self.inner, concurrency, self.events.append, clock=self.time, sleep=self.time.sleep
        )

    async def throttle(self, key: str = "a/key", **fields: Any) -> None:
        """Let one request be throttled after ten a second were accepted."""
        for _ in range(10):
            await self.send(request(key=key, **fields))
        self.inner.outcomes.append(answer(*SLOW_DOWN))
        await self.send(request(key=key, **fields))

    async def pauses(self, count: int = 2, **fields: Any) -> list[float]:
        """Return how long each of some requests had to wait for its turn."""
        self.time.slept.clear()
        for _ in range(count):
            await self.send(request(**fields))
        return self.time.slept


# Slots


async def test_only_so_many_requests_are_in_flight() -> None:
    trial = Trial(concurrency=2)
    in_flight = most = 0

    async def take_time(_: Request) -> HttpAnswer:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        return answer()

    trial.send._inner = take_time
    await asyncio.gather(*[trial.send(request()) for _ in range(20)])
    assert most == 2
    assert not trial.send._slots.locked()


async def test_a_streamed_answer_holds_its_slot_until_it_is_closed() -> None:
    trial = Trial(answer(streamed=b"body"), concurrency=1)
    first = await trial.send(request())
    assert trial.send._slots.locked()
    await first.close()
    assert not trial.send._slots.locked()
    await trial.send(request())
    assert not trial.send._slots.locked()


async def test_a_failure_and_a_cancellation_give_the_slot_back() -> None:
    trial = Trial(OSError(5, "broken"), concurrency=1)
    with pytest.raises(OSError, match="broken"):
        await trial.send(request())
    started = asyncio.Event()

    async def hang(_: Request) -> HttpAnswer:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    trial.send._inner = hang
    task = asyncio.ensure_future(trial.send(request()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not trial.send._slots.locked()


# Rates


async def test_nothing_is_slowed_down_before_the_store_throttles() -> None:
    trial = Trial(*[answer(status) for status in (200, 404, 500, 403, 412)])
    assert await trial.pauses(100) == []
    assert trial.events == []


@pytest.mark.parametrize(
    ("throttled", "classify"),
    [
        (answer(503, "SlowDown"), None),
        (answer(429), None),
        (answer(400, "RequestLimitExceeded"), None),
        (answer(200, "SlowDown", ok=False), lambda *_: False),
    ],
    ids=["503", "429", "400", "200"],
)
async def test_throttling_cuts_the_rate_to_a_share_of_what_was_accepted(
    throttled: HttpAnswer, classify: Any
) -> None:
    trial = Trial()
    for _ in range(10):
        await trial.send(request())
    trial.inner.outcomes.append(throttled)
    await trial.send(request(classify=classify))
    assert trial.events == [Throttled("bucket", "read", 9.0)]
    trial.time.now += 10
    assert await trial.pauses(4) == pytest.approx([1 / 9 - 0.01, 1 / 9, 1 / 9], rel=0.2)


async def test_a_burst_of_throttled_answers_is_one_cut() -> None:
    trial = Trial()
    await trial.throttle()
    trial.inner.outcomes.extend(answer(*SLOW_DOWN) for _ in range(3))
    for _ in range(3):
        await trial.send(request(key="a/key"))
    assert len(trial.events) == 1


@pytest.mark.parametrize("other", [{"bucket": "other"}, {"kind": "write"}], ids=["bucket", "kind"])
async def test_what_was_not_throttled_is_not_slowed_down(other: dict[str, str]) -> None:
    trial = Trial()
    await trial.throttle()
    assert await trial.pauses(key="a/key")
    assert await trial.pauses(10, **{"key": "a/key"} | other) == []


async def test_beside_a_hot_prefix_the_others_start_at_a_rate_and_not_in_a_burst() -> None:
    trial = Trial()
    await trial.throttle()
    assert await trial.pauses(10, key="b/key") == pytest.approx([1 / OFFSHOOT] * 9, abs=0.011)
    assert await trial.pauses(2, key="a/key") == pytest.approx([1 / 9], rel=0.3)


async def test_beside_a_hot_prefix_each_new_one_starts_where_the_last_one_got_to() -> None:
    trial = Trial()
    await trial.throttle()
    for _ in range(200):
        await trial.send(request(key="b/key"))
    assert max(await trial.pauses(10, key="c/key")) < 0.5 / OFFSHOOT


async def test_only_so_many_prefixes_are_watched() -> None:
    trial = Trial()
    await trial.throttle()
    for number in range(600):
        await trial.send(request(key=f"{number}/key"))
    rates = trial.send._rates["bucket", "read"]
    assert len(rates._others) <= 256
    assert await trial.pauses(key="a/key")


async def test_two_hot_prefixes_slow_the_whole_bucket_down() -> None:
    trial = Trial()
    await trial.throttle("a/key")
    await trial.throttle("b/key")
    assert await trial.pauses(key="c/key")
    assert await trial.pauses(10, bucket="other", key="a/key") == []


async def test_two_hot_prefixes_are_two_no_more_once_the_bucket_is_slowed_down() -> None:
    """Else each request would wait its turn twice."""
    trial = Trial()
    await trial.throttle("a/key")
    await trial.throttle("b/key")
    assert trial.send._rates["bucket", "read"]._hot == {}
    await trial.throttle("c/key")
    assert trial.send._rates["bucket", "read"]._hot == {}


async def test_a_rate_is_lifted_once_it_was_not_needed_for_long() -> None:
    trial = Trial()
    await trial.throttle()
    for _ in range(40):
        trial.time.now += 1
        await trial.send(request(key="a/key"))
    assert await trial.pauses(10, key="a/key") == []
    assert not trial.send._rates["bucket", "read"].limited


async def test_late_answers_to_what_was_sent_before_a_cut_do_not_cut_again() -> None:
    trial = Trial()
    await trial.throttle()

    async def answered_late(_: Request) -> HttpAnswer:
        await trial.throttle()
        trial.time.now += 2
        return answer(*SLOW_DOWN)

    limiter = Limiter(answered_late, 4, trial.events.append, clock=trial.time, sleep=trial.time.sleep)
    limiter._rates = trial.send._rates
    trial.time.now += 2
    trial.events.clear()
    await limiter(request(key="a/key"))
    assert len(trial.events) == 1


async def test_only_so_many_buckets_are_remembered_and_limited_ones_longest() -> None:
    trial = Trial()
    await trial.throttle(bucket="throttled")
    for number in range(5000):
        await trial.send(request(bucket=f"bucket-{number}"))
    assert len(trial.send._rates) <= 1024
    assert ("throttled", "read") in trial.send._rates


# A ceiling


class Departures:
    """The neighbour inside: knows when each request was sent, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.times: list[float] = []

    async def __call__(self, _: Request) -> HttpAnswer:
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        return answer()


async def send_under(ceiling: float, requests: int, inner: Departures, concurrency: int = 8) -> list[float]:
    """Send requests of all kinds to several buckets, all at once; return when they left."""
    clock = asyncio.get_running_loop().time
    limiter = Limiter(inner, concurrency, lambda _: None, rate=ceiling, clock=clock)
    kinds = ("read", "write", "list", "delete")
    names = [(f"bucket-{number % 3}", kinds[number % 4]) for number in range(requests)]
    await asyncio.gather(*[limiter(request(bucket=bucket, kind=kind)) for bucket, kind in names])
    return inner.times


@pytest.mark.parametrize("seconds", [0.0, 0.3], ids=["quick answers", "slow answers"])
@pytest.mark.parametrize(("ceiling", "requests"), [(0.5, 5), (1.0, 5), (2.5, 10), (10.0, 50), (200.0, 900)])
def test_a_ceiling_is_never_passed_whatever_is_sent(ceiling: float, requests: int, seconds: float) -> None:
    times = virtual_time.run(send_under(ceiling, requests, Departures(seconds)))
    count = max(1, int(ceiling))
    assert len(times) == requests
    # Never more than `count` of them within `count / ceiling` seconds.
    assert all(
        later - earlier > count / ceiling for earlier, later in zip(times, times[count:], strict=False)
    )


def test_requests_below_a_ceiling_are_spaced_evenly_and_nearly_use_it_up() -> None:
    times = virtual_time.run(send_under(100.0, 500, Departures(0.01)))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([1.02 / 100] * 499, rel=0.01)


def test_who_gives_up_below_a_ceiling_gives_the_slot_back() -> None:
    async def trial() -> None:
        clock = asyncio.get_running_loop().time
        limiter = Limiter(Departures(), 2, lambda _: None, rate=1.0, clock=clock)
        tasks = [asyncio.ensure_future(limiter(request())) for _ in range(5)]
        await asyncio.sleep(0.1)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await limiter(request())
        assert not limiter._slots.locked()

    virtual_time.run(trial())


@pytest.mark.parametrize("ceiling", [-1.0, float("inf"), float("nan")])
async def test_a_ceiling_that_is_none_is_refused(ceiling: float) -> None:
    with pytest.raises(ValueError, match="no such rate"):
        Limiter(Inner(), 1, lambda _: None, rate=ceiling)


# Turns


def in_turn(limiter: Limiter, log: list[Any], name: Any, **fields: Any) -> asyncio.Task[None]:
    async def send() -> None:
        await limiter(request(**fields))
        log.append((name, asyncio.get_running_loop().time()))

    return asyncio.ensure_future(send())


async def limited_in_virtual_time(*outcomes: HttpAnswer) -> Limiter:
    """Return a limiter whose bucket has just been cut to one a second, and whose prefix ``a`` likewise."""
    loop = asyncio.get_running_loop()
    limiter = Limiter(
        Inner(answer(*SLOW_DOWN), answer(*SLOW_DOWN), *outcomes), 100, lambda _: None, clock=loop.time
    )
    await limiter(request(key="a/key"))
    await limiter(request(key="b/key"))
    return limiter


def test_turns_come_in_the_order_of_asking() -> None:
    async def trial() -> None:
        limiter = await limited_in_virtual_time()
        log: list[Any] = []
        await asyncio.gather(*[in_turn(limiter, log, number, key="c/key") for number in range(20)])
        assert [name for name, _ in log] == list(range(20))

    virtual_time.run(trial())


def test_those_who_wait_profit_from_a_rate_that_rises() -> None:
    """Places handed out ahead would hold one a second for all 64 of them."""

    async def trial() -> None:
        limiter = await limited_in_virtual_time()
        log: list[Any] = []
        await asyncio.gather(*[in_turn(limiter, log, number, key="c/key") for number in range(64)])
        assert log[-1][1] < 20

    virtual_time.run(trial())


def test_who_waits_for_a_hot_prefix_does_not_stand_in_the_way_of_others() -> None:
    async def trial() -> None:
        loop = asyncio.get_running_loop()
        limiter = Limiter(Inner(answer(*SLOW_DOWN)), 100, lambda _: None, clock=loop.time)
        await limiter(request(key="a/key"))
        log: list[Any] = []
        hot = [in_turn(limiter, log, "hot", key="a/key") for _ in range(10)]
        cold = [in_turn(limiter, log, "cold", key="b/key") for _ in range(10)]
        await asyncio.gather(*cold)
        assert [name for name, _ in log].count("cold") == 10
        assert loop.time() < 0.25
        await asyncio.gather(*hot)
        assert loop.time() > 2

    virtual_time.run(trial())


def test_who_gives_up_waiting_leaves_the_queue_as_it_is() -> None:
    async def trial() -> None:
        limiter = await limited_in_virtual_time()
        log: list[Any] = []
        tasks = [in_turn(limiter, log, number, key="c/key") for number in range(6)]
        await asyncio.sleep(0.1)
        tasks[1].cancel()
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [name for name, _ in log] == [0, 2, 4, 5]

    virtual_time.run(trial())
