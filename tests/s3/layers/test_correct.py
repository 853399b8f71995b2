from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from tests.s3.layers.fakes import Http, request

from haulyard.errors import S3CredentialsError, TransportError
from haulyard.s3.credentials import Credentials
from haulyard.s3.endpoint import EndpointConfig
from haulyard.s3.faults import Verdict
from haulyard.s3.layers import correct
from haulyard.s3.layers.correct import Corrector
from haulyard.s3.layers.sign import Signer
from haulyard.s3.regions import RegionCache

if TYPE_CHECKING:
    from haulyard.s3.response import HttpAnswer

pytestmark = pytest.mark.anyio

OLD, NEW = Credentials("AKIDOLD", "secret"), Credentials("AKIDNEW", "secret")
NOW = 1_700_000_000.0


class Trial:
    """A corrector and its signer, over a transport that answers as the test says."""

    def __init__(self, *answers: Http | Exception, endpoint: str = "") -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.renewed: list[Credentials | None] = []
        self.regions = RegionCache()
        self.newer: Credentials | Exception | None = NEW

        async def credentials() -> Credentials:
            return OLD

        config = EndpointConfig(endpoint, "eu-central-1", "auto")
        self.signer = Signer(self._transport, config, credentials, self.regions, clock=lambda: NOW)
        provider: Any = self
        self.correct = Corrector(self.signer, provider, self.regions)

    async def refresh(self, rejected: Credentials | None) -> Credentials | None:
        self.renewed.append(rejected)
        if isinstance(self.newer, Exception):
            raise self.newer
        return self.newer

    async def _transport(self, method: str, origin: str, path: str, *_: Any, **__: Any) -> Any:
        self.asked.append(f"{method} {origin}{path}")
        await asyncio.sleep(0)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def attempt(self, http: Http, **fields: Any) -> HttpAnswer:
        """Return the answer to a request that was made with what is known now."""
        self.answers.insert(0, http)
        given = await self.signer(request(**fields))
        self.asked.clear()
        return given


# Credentials


async def test_expired_credentials_are_renewed_by_those_that_were_rejected() -> None:
    trial = Trial()
    given = await trial.attempt(Http(400))
    assert await trial.correct(request(), Verdict.REFRESH, given)
    assert trial.renewed == [OLD]


async def test_without_newer_credentials_nothing_changes() -> None:
    trial = Trial()
    given = await trial.attempt(Http(400))
    trial.newer = None
    assert not await trial.correct(request(), Verdict.REFRESH, given)
    trial.newer = S3CredentialsError("expired")
    with pytest.raises(S3CredentialsError):
        await trial.correct(request(), Verdict.REFRESH, given)


# The clock


def dated(off: float) -> Http:
    return Http(403, {"date": formatdate(NOW + off, usegmt=True)})


@pytest.mark.parametrize("off", [3600.0, -86_400.0])
async def test_the_servers_clock_is_learned_from_its_answer(off: float) -> None:
    trial = Trial()
    assert await trial.correct(request(), Verdict.SKEW, await trial.attempt(dated(off)))
    assert trial.signer.now() == NOW + off


async def test_a_clock_that_is_right_already_is_not_why_a_request_was_refused() -> None:
    trial = Trial()
    for http in (dated(30.0), Http(403), Http(403, {"date": "yesterday"})):
        assert not await trial.correct(request(), Verdict.SKEW, await trial.attempt(http))
    assert trial.signer.skew == 0.0


async def test_all_that_were_in_flight_with_the_wrong_clock_are_tried_again() -> None:
    trial = Trial()
    given = [await trial.attempt(dated(3600.0)) for _ in range(3)]
    assert [await trial.correct(request(), Verdict.SKEW, one) for one in given] == [True, True, True]
    assert trial.signer.skew == 3600.0
    again = await trial.attempt(dated(3600.0))
    assert not await trial.correct(request(), Verdict.SKEW, again)


async def test_a_head_that_gives_no_reason_may_have_been_refused_for_the_clock() -> None:
    trial = Trial()
    asked = request("HeadObject", "HEAD")
    assert await trial.correct(asked, Verdict.REGION, await trial.attempt(dated(3600.0)))
    assert trial.signer.skew == 3600.0
    assert trial.asked == []
    trial.answers = [Http(403)]
    assert not await trial.correct(asked, Verdict.REGION, await trial.attempt(dated(3600.0 + 300.0)))
    assert trial.signer.skew == 3600.0


# The region


def moved(region: str = "us-west-2", status: int = 301) -> Http:
    return Http(status, {"x-amz-bucket-region": region})


async def test_a_region_is_learned_from_the_answer() -> None:
    trial = Trial()
    assert await trial.correct(request(), Verdict.REGION, await trial.attempt(moved()))
    assert trial.signer.address("bucket").signing_region == "us-west-2"
    assert trial.asked == []


async def test_all_that_were_in_flight_to_the_wrong_region_are_tried_again() -> None:
    trial = Trial()
    given = [await trial.attempt(moved()) for _ in range(3)]
    assert [await trial.correct(request(), Verdict.REGION, one) for one in given] == [True, True, True]
    assert trial.asked == []


async def test_an_answer_without_a_region_is_followed_by_asking_for_it() -> None:
    """HEAD answered 400/403 without a body."""
    trial = Trial()
    given = await trial.attempt(Http(400), operation="HeadObject", method="HEAD")
    trial.answers = [moved(status=403)]
    assert await trial.correct(request("HeadObject", "HEAD"), Verdict.REGION, given)
    assert trial.asked == ["HEAD https://bucket.s3.eu-central-1.amazonaws.com/"]
    assert trial.signer.address("bucket").signing_region == "us-west-2"


async def test_a_bucket_is_asked_for_its_region_once() -> None:
    """A thousand keys that may not be looked at are no thousand doubts about the region."""
    trial = Trial()
    given = [await trial.attempt(Http(403)) for _ in range(3)]
    trial.answers = [Http(403)]
    corrections = [trial.correct(request("HeadObject", "HEAD"), Verdict.REGION, one) for one in given]
    assert await asyncio.gather(*corrections) == [False, False, False]
    assert len(trial.asked) == 1


async def test_those_who_wait_for_a_region_that_is_being_asked_for_get_it() -> None:
    trial = Trial()
    given = [await trial.attempt(Http(403)) for _ in range(3)]
    trial.answers = [moved(status=403)]
    corrections = [trial.correct(request("HeadObject", "HEAD"), Verdict.REGION, one) for one in given]
    assert await asyncio.gather(*corrections) == [True, True, True]
    assert len(trial.asked) == 1


async def test_who_asked_in_vain_for_want_of_an_answer_may_ask_again() -> None:
    trial = Trial()
    given = await trial.attempt(Http(403))
    trial.answers = [TransportError("broken"), moved(status=403)]
    assert not await trial.correct(request("HeadObject", "HEAD"), Verdict.REGION, given)
    assert await trial.correct(request("HeadObject", "HEAD"), Verdict.REGION, given)


@pytest.mark.parametrize(
    ("operation", "http"), [("HeadBucket", Http(403)), ("HeadObject", moved("eu-central-1", 403))]
)
async def test_who_was_told_already_is_not_asked(operation: str, http: Http) -> None:
    trial = Trial()
    given = await trial.attempt(http)
    assert not await trial.correct(request(operation, "HEAD"), Verdict.REGION, given)
    assert trial.asked == []


async def test_a_custom_endpoint_stays_the_host_that_it_is() -> None:
    trial = Trial(endpoint="https://store.example")
    http = Http(301, {"location": "https://evil.example/", "x-amz-bucket-region": "us-west-2"})
    assert await trial.correct(request(), Verdict.REGION, await trial.attempt(http))
    address = trial.signer.address("bucket")
    assert (address.host, address.signing_region) == ("store.example", "us-west-2")


async def test_only_so_many_buckets_are_remembered_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correct, "_MAX_ASKED", 2)
    trial = Trial()
    for number in range(5):
        bucket = f"bucket-{number}"
        given = await trial.attempt(Http(403), bucket=bucket)
        trial.answers = [Http(403)]
        await trial.correct(request("HeadObject", "HEAD", bucket=bucket), Verdict.REGION, given)
    assert len(trial.correct._asked) <= 2
