from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.s3.layers.fakes import Inner, Time, answer, request

from haulyard import errors
from haulyard.errors import TransportError
from haulyard.events import RequestRetried
from haulyard.pacing.budget import THROTTLING_COST, TRANSIENT_COST, RetryBudget
from haulyard.s3.faults import Verdict
from haulyard.s3.layers.retry import Retrier, RetryPolicy

if TYPE_CHECKING:
    from haulyard.s3.request import Classify, Request
    from haulyard.s3.response import HttpAnswer

pytestmark = pytest.mark.anyio

POLICY = RetryPolicy(attempts=4, base_delay=0.1)


class Trial:
    """A retry layer around a script, with everything that it does kept."""

    def __init__(
        self,
        *outcomes: HttpAnswer | Exception,
        budget: int = 10_000,
        policy: RetryPolicy = POLICY,
        learns: bool | Exception = True,
    ) -> None:
        self.inner = Inner(*outcomes)
        self.time = Time()
        self.budget = RetryBudget(budget)
        self.events: list[Any] = []
        self.corrected: list[Verdict] = []
        self._learns = learns
        self.send = Retrier(
            self.inner,
            self._correct,
            policy,
            self.budget,
            self.events.append,
            clock=self.time,
            wall_clock=lambda: 1_700_000_000.0,
            sleep=self.time.sleep,
            random=lambda: 1.0,
        )

    async def _correct(self, _: Request, verdict: Verdict, __: HttpAnswer) -> bool:
        self.corrected.append(verdict)
        if isinstance(self._learns, Exception):
            raise self._learns
        return self._learns

    async def reach(self) -> None:
        """Let one request succeed, so that the endpoint is known to exist."""
        self.inner.outcomes.appendleft(answer())
        await self.send(request())
        self.inner.attempts.clear()


def ok_or(ok: bool | None) -> Classify | None:
    """Return how the request judges a 200 that ``ok`` says is none."""
    return None if ok is None else lambda *_: ok


def lost(kind: str = "reset", *, sent: bool = True) -> TransportError:
    return TransportError("it broke", kind=kind, sent=sent)


# Success


async def test_a_success_at_once_costs_nothing() -> None:
    trial = Trial()
    got = await trial.send(request())
    assert (got.status, got.attempts) == (200, 1)
    assert (trial.time.slept, trial.events, trial.corrected) == ([], [], [])


# What fails for a passing reason


@pytest.mark.parametrize(
    "failure",
    [
        (500, "InternalError", None),
        (500, "", None),
        (502, "", None),
        (504, "", None),
        (400, "RequestTimeout", None),
        (200, "InternalError", False),
        (200, "", False),
        (409, "ConditionalRequestConflict", None),
        (409, "OperationAborted", None),
    ],
    ids=lambda failure: f"{failure[0]} {failure[1]}",
)
async def test_a_passing_failure_is_tried_again(failure: tuple[int, str, bool | None]) -> None:
    status, code, ok = failure
    trial = Trial(answer(status, code, ok=ok))
    got = await trial.send(request("PutObject", "PUT", classify=ok_or(ok)))
    assert (got.status, got.attempts) == (200, 2)
    assert trial.inner.attempts == [1, 2]
    (event,) = trial.events
    assert event == RequestRetried("PutObject", "bucket", "key", 1, 0.1, event.reason)
    assert event.reason == code or not code


async def test_pauses_are_drawn_below_a_bound_that_doubles_up_to_twenty_seconds() -> None:
    trial = Trial(*[answer(500) for _ in range(10)], policy=RetryPolicy(attempts=11, base_delay=0.1))
    await trial.send(request())
    assert trial.time.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0])


async def test_a_request_is_given_up_after_all_its_attempts() -> None:
    trial = Trial(*[answer(500, "InternalError") for _ in range(4)])
    with pytest.raises(errors.S3ServerError) as final:
        await trial.send(request())
    assert final.value.attempts == 4
    assert trial.inner.attempts == [1, 2, 3, 4]
    assert (final.value.operation, final.value.bucket, final.value.key) == ("GetObject", "bucket", "key")


async def test_an_error_that_asks_for_a_pause_gets_it() -> None:
    trial = Trial(answer(500, headers={"retry-after": "7"}))
    await trial.send(request())
    assert trial.time.slept == [7.0]


@pytest.mark.parametrize("kind", ["connect", "dns", "tls", "timeout", "reset", "body"])
async def test_a_lost_request_is_sent_again(kind: str) -> None:
    trial = Trial(lost(kind))
    assert (await trial.send(request())).attempts == 2
    assert trial.events[0].reason == "it broke"


async def test_a_lost_request_that_must_not_be_repeated_is_its_callers_to_look_into() -> None:
    trial = Trial(lost("timeout", sent=True))
    with pytest.raises(errors.S3NetworkError) as final:
        await trial.send(request("PutObject", "PUT", repeatable=False))
    assert (final.value.kind, final.value.sent, final.value.attempts) == ("timeout", True, 1)
    assert (final.value.operation, final.value.key) == ("PutObject", "key")


async def test_a_request_that_was_never_sent_may_always_be_sent_again() -> None:
    trial = Trial(lost("connect", sent=False))
    assert (await trial.send(request("PutObject", "PUT", repeatable=False))).attempts == 2


async def test_a_request_that_cannot_be_built_is_not_tried_again() -> None:
    trial = Trial(lost("request", sent=False))
    with pytest.raises(errors.S3NetworkError):
        await trial.send(request())
    assert trial.inner.attempts == [1]


async def test_an_answer_after_a_lost_one_still_counts_all_attempts() -> None:
    trial = Trial(lost(), answer(500), lost(), answer(404, "NoSuchKey"))
    await trial.reach()
    with pytest.raises(errors.S3NotFound) as final:
        await trial.send(request())
    assert final.value.attempts == 4


async def test_an_endpoint_that_never_answered_gets_three_attempts_and_one_that_did_all_of_them() -> None:
    trial = Trial(*[lost("connect", sent=False)] * 20)
    with pytest.raises(errors.S3NetworkError):
        await trial.send(request())
    assert trial.inner.attempts == [1, 2, 3]
    await trial.reach()
    with pytest.raises(errors.S3NetworkError):
        await trial.send(request())
    assert trial.inner.attempts == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", errors.S3PermissionError),
        (404, "NoSuchKey", errors.S3NotFound),
        (412, "PreconditionFailed", errors.S3PreconditionFailed),
        (403, "InvalidObjectState", errors.S3ArchivedError),
        (403, "SignatureDoesNotMatch", errors.S3CredentialsError),
        (400, "BadDigest", errors.S3IntegrityError),
        (501, "NotImplemented", errors.S3GenericError),
        (418, "", errors.S3GenericError),
    ],
)
async def test_what_will_not_pass_is_final_at_once(status: int, code: str, error: type[Exception]) -> None:
    trial = Trial(answer(status, code))
    with pytest.raises(error):
        await trial.send(request())
    assert (trial.inner.attempts, trial.time.slept) == ([1], [])


async def test_an_upload_whose_completion_met_a_conflict_is_spent() -> None:
    trial = Trial(answer(409, "ConditionalRequestConflict"))
    with pytest.raises(errors.S3Conflict):
        await trial.send(request("CompleteMultipartUpload", "POST"))
    assert trial.inner.attempts == [1]


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (504, ""), (200, "InternalError")])
async def test_a_delete_that_may_have_been_done_is_its_callers_to_look_into(status: int, code: str) -> None:
    """In a versioned bucket a second one would leave a second marker."""
    trial = Trial(answer(status, code, ok=False))
    ok = ok_or(None if status > 200 else False)
    asked = request("DeleteObject", "DELETE", kind="delete", repeatable=False, classify=ok)
    with pytest.raises(errors.S3ServerError) as final:
        await trial.send(asked)
    assert final.value.attempts == 1


@pytest.mark.parametrize(
    ("status", "code", "repeatable"),
    [
        (500, "InternalError", True),
        (503, "SlowDown", False),
        (400, "RequestTimeout", False),
        (409, "OperationAborted", False),
    ],
)
async def test_a_delete_that_was_not_done_or_does_no_harm_twice_is_tried_again(
    status: int, code: str, *, repeatable: bool
) -> None:
    trial = Trial(answer(status, code))
    asked = request("DeleteObject", "DELETE", kind="delete", repeatable=repeatable)
    assert (await trial.send(asked)).attempts == 2


# The budget


async def test_retries_are_paid_from_the_budget_and_a_success_pays_the_last_one_back() -> None:
    trial = Trial(answer(500), answer(500), budget=100)
    await trial.send(request())
    assert trial.budget.available == 100 - 2 * TRANSIENT_COST + TRANSIENT_COST
    await trial.send(request())
    assert trial.budget.available == 100 - TRANSIENT_COST + 1


async def test_an_empty_budget_ends_retrying() -> None:
    trial = Trial(answer(500), answer(500), budget=TRANSIENT_COST)
    with pytest.raises(errors.S3ServerError) as final:
        await trial.send(request())
    assert final.value.attempts == 2


# Throttling


@pytest.mark.parametrize(
    ("status", "code", "ok"),
    [
        (503, "SlowDown", None),
        (503, "", None),
        (429, "", None),
        (400, "RequestLimitExceeded", None),
        (400, "ThrottlingException", None),
        (200, "SlowDown", False),
    ],
)
async def test_throttling_is_waited_out_and_counts_as_no_attempt(
    status: int, code: str, *, ok: bool | None
) -> None:
    throttled = [answer(status, code, ok=ok) for _ in range(8)]
    trial = Trial(*throttled, answer(500), answer(500), answer(500))
    got = await trial.send(request(classify=ok_or(ok)))
    assert got.attempts == 12
    assert trial.time.slept[:8] == [1, 2, 4, 8, 16, 20, 20, 20]
    assert trial.time.slept[8:] == pytest.approx([0.1, 0.2, 0.4])


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("3", 3.0),
        ("0.5", 1.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("86400", 120.0),
        ("soon", 1.0),
    ],
)
async def test_retry_after_is_honoured_where_it_is_longer(asked: str, pause: float) -> None:
    trial = Trial(answer(503, "SlowDown", {"retry-after": asked}))
    await trial.send(request())
    assert trial.time.slept == [pause]


async def test_one_request_bears_five_minutes_of_pauses_while_others_are_accepted() -> None:
    trial = Trial()

    async def refused(asked: Request) -> HttpAnswer:
        return answer() if asked.key == "other" else answer(503, "SlowDown")

    async def sleep(seconds: float) -> None:
        await trial.time.sleep(seconds)
        await trial.send(request(key="other"))

    trial.send._inner, trial.send._means.sleep = refused, sleep
    with pytest.raises(errors.S3RateLimit):
        await trial.send(request())
    assert 280 <= sum(trial.time.slept) <= 300


async def test_a_store_that_accepts_others_is_alive_and_its_throttling_costs_nothing() -> None:
    trial = Trial(budget=0)
    for _ in range(100):
        trial.inner.outcomes.extend([answer(503, "SlowDown"), answer(503, "SlowDown"), answer()])
        assert (await trial.send(request())).attempts == 3


async def test_a_store_that_refuses_everything_is_waited_for_a_minute_and_then_paid_for() -> None:
    trial = Trial(*[answer(503, "SlowDown") for _ in range(100)], budget=2 * THROTTLING_COST)
    with pytest.raises(errors.S3RateLimit) as final:
        await trial.send(request())
    # 1 + 2 + 4 + 8 + 16 + 20 seconds bring it to 51, the next to 71, and two more are paid for.
    assert (sum(trial.time.slept), final.value.attempts) == (111, 10)
    assert trial.budget.available == 0


async def test_a_store_that_has_refused_everything_for_five_minutes_is_down_for_all() -> None:
    trial = Trial(*[answer(503, "SlowDown") for _ in range(100)])
    with pytest.raises(errors.S3RateLimit):
        await trial.send(request())
    trial.time.now += 30
    with pytest.raises(errors.S3RateLimit) as final:
        await trial.send(request())
    assert final.value.attempts == 1


async def test_an_hour_without_requests_says_nothing_about_the_store() -> None:
    trial = Trial(*[answer(503, "SlowDown") for _ in range(100)])
    with pytest.raises(errors.S3RateLimit):
        await trial.send(request())
    trial.inner.outcomes = type(trial.inner.outcomes)([answer(503, "SlowDown")])
    trial.time.now += 3600
    assert (await trial.send(request())).attempts == 2


# Corrections

EXPIRED = (400, "ExpiredToken", Verdict.REFRESH, errors.S3CredentialsError)
SKEWED = (403, "RequestTimeTooSkewed", Verdict.SKEW, errors.S3ClockError)
ELSEWHERE = (301, "PermanentRedirect", Verdict.REGION, errors.S3RegionError)


@pytest.mark.parametrize(("status", "code", "verdict", "error"), [EXPIRED, SKEWED, ELSEWHERE])
async def test_what_can_be_learned_is_put_right_once_without_a_pause(
    status: int, code: str, verdict: Verdict, error: type[Exception]
) -> None:
    trial = Trial(answer(status, code), budget=0)
    assert (await trial.send(request())).attempts == 2
    assert (trial.corrected, trial.time.slept) == ([verdict], [0.0])
    trial.inner.outcomes.extend([answer(status, code), answer(status, code)])
    with pytest.raises(error):
        await trial.send(request())
    assert trial.corrected == [verdict, verdict]


@pytest.mark.parametrize(("status", "code", "verdict", "error"), [EXPIRED, SKEWED, ELSEWHERE])
async def test_what_cannot_be_learned_is_final(
    status: int, code: str, verdict: Verdict, error: type[Exception]
) -> None:
    trial = Trial(answer(status, code), learns=False)
    with pytest.raises(error):
        await trial.send(request())
    assert (trial.corrected, trial.inner.attempts) == ([verdict], [1])


async def test_different_corrections_may_follow_each_other() -> None:
    trial = Trial(answer(301, "PermanentRedirect"), answer(400, "ExpiredToken"), answer(503, "SlowDown"))
    assert (await trial.send(request())).attempts == 4
    assert trial.corrected == [Verdict.REGION, Verdict.REFRESH]


@pytest.mark.parametrize("where", ["found", "renewed"])
async def test_credentials_that_cannot_be_had_are_said_to_be_missing_for_this_request(where: str) -> None:
    missing = errors.S3CredentialsError("there are none", code="ExpiredToken")
    trial = Trial(missing) if where == "found" else Trial(answer(400, "ExpiredToken"), learns=missing)
    with pytest.raises(errors.S3CredentialsError) as final:
        await trial.send(request())
    assert final.value is missing
    assert (missing.operation, missing.bucket, missing.key, missing.attempts) == (
        "GetObject",
        "bucket",
        "key",
        1,
    )


# What is not the layer's business


@pytest.mark.parametrize("error", [errors.UnsafeName("no"), errors.SourceChanged("no"), OSError(5, "no")])
async def test_what_is_neither_network_nor_answer_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        await Trial(error).send(request())
    assert raised.value is error


async def test_a_pause_can_be_cancelled() -> None:
    trial = Trial(answer(503, "SlowDown"))
    started = asyncio.Event()

    async def forever(_: float) -> None:
        started.set()
        await asyncio.Event().wait()

    trial.send._means.sleep = forever
    sending = asyncio.ensure_future(trial.send(request()))
    await started.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert trial.inner.attempts == [1]
