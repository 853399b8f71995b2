"""When credentials are renewed, by whom, and what happens when that fails."""

from __future__ import annotations

import asyncio
import threading

import pytest

from haulyard.errors import S3CredentialsError, TransportError
from haulyard.s3.credentials import Credentials, CredentialsProvider

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000.0
NOWHERE = {"AWS_CONFIG_FILE": "/nonexistent/a", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/b"}


class Chain:
    """Stands where botocore's chain does; each fetch takes the next result."""

    def __init__(self, *results: Credentials | Exception) -> None:
        self.results = iter(results)
        self.calls: list[bool] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def fetch(self, *, again: bool) -> Credentials:
        self.calls.append(again)
        self.entered.set()
        self.gate.wait(30)
        result = next(self.results)
        if isinstance(result, Exception):
            raise result
        return result


def temporary(name: str, seconds: float) -> Credentials:
    return Credentials(name, "s", "t", NOW + seconds, "iam-role")


def provider_over(chain: Chain) -> CredentialsProvider:
    provider = CredentialsProvider(environ=NOWHERE)
    provider._botocore = chain  # type: ignore[assignment]
    return provider


async def test_anonymous_requests_have_no_credentials() -> None:
    provider = CredentialsProvider(anonymous=True)
    assert await provider.get(NOW) is None
    assert await provider.refresh() is None


async def test_keys_given_by_the_caller_are_used() -> None:
    keys = Credentials("A", "S")
    provider = CredentialsProvider(
        environ={"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "E"}, fixed=keys
    )
    assert await provider.get(NOW) is keys
    with pytest.raises(S3CredentialsError, match="no newer"):
        await provider.refresh(keys)


async def test_many_tasks_share_one_fetch() -> None:
    chain = Chain(temporary("first", 3600))
    provider = provider_over(chain)
    found = await asyncio.gather(*(provider.get(NOW) for _ in range(20)))
    assert {each.access_key for each in found if each} == {"first"}
    assert chain.calls == [False]


async def test_nothing_is_fetched_before_the_advisory_time() -> None:
    chain = Chain(temporary("first", 3600))
    provider = provider_over(chain)
    await provider.get(NOW)
    await provider.get(NOW + 3600 - 15 * 60 - 1)
    assert chain.calls == [False]


async def test_in_the_advisory_time_one_renews_while_the_others_go_on() -> None:
    chain = Chain(temporary("first", 3600), temporary("second", 7200))
    provider = provider_over(chain)
    await provider.get(NOW)
    chain.gate.clear()
    chain.entered.clear()
    later = NOW + 3600 - 14 * 60
    renewing = asyncio.create_task(provider.get(later))
    await asyncio.to_thread(chain.entered.wait, 30)
    other = await provider.get(later)
    assert other is not None
    assert other.access_key == "first"
    chain.gate.set()
    renewed = await renewing
    assert renewed is not None
    assert renewed.access_key == "second"
    assert chain.calls == [False, False]


async def test_in_the_mandatory_time_all_wait_for_the_new_ones() -> None:
    chain = Chain(temporary("first", 3600), temporary("second", 7200))
    provider = provider_over(chain)
    await provider.get(NOW)
    found = await asyncio.gather(*(provider.get(NOW + 3600 - 9 * 60) for _ in range(5)))
    assert [each.access_key for each in found if each] == ["second"] * 5
    assert chain.calls == [False, False]


async def test_a_failed_renewal_is_borne_until_the_credentials_end() -> None:
    failure = S3CredentialsError("no answer")
    chain = Chain(temporary("first", 3600), failure, failure, failure)
    provider = provider_over(chain)
    await provider.get(NOW)
    for left in (800, 790, 500):
        found = await provider.get(NOW + 3600 - left)
        assert found is not None
        assert found.access_key == "first"
    assert len(chain.calls) == 3, "a pause follows each failure"
    with pytest.raises(S3CredentialsError, match="no answer"):
        await provider.get(NOW + 3600)


async def test_a_foreign_failure_is_not_swallowed() -> None:
    with pytest.raises(TransportError):
        await provider_over(Chain(TransportError("no route"))).get(NOW)


async def test_credentials_that_come_expired_are_refused() -> None:
    with pytest.raises(S3CredentialsError, match="have expired"):
        await provider_over(Chain(temporary("old", -1))).get(NOW)


async def test_a_rejected_token_is_replaced_once_for_all() -> None:
    chain = Chain(temporary("first", 3600), temporary("second", 3600))
    provider = provider_over(chain)
    first = await provider.get(NOW)
    found = await asyncio.gather(*(provider.refresh(first) for _ in range(5)))
    assert [each.access_key for each in found if each] == ["second"] * 5
    assert chain.calls == [False, True]
    again = await provider.get(NOW)
    assert again is not None
    assert again.access_key == "second"


async def test_a_source_without_newer_keys_says_so() -> None:
    environ = {**NOWHERE, "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SESSION_TOKEN": "T"}
    provider = CredentialsProvider(environ=environ)
    first = await provider.get(NOW)
    with pytest.raises(S3CredentialsError) as caught:
        await provider.refresh(first)
    assert caught.value.code == "ExpiredToken"
    assert "export" in caught.value.hint
    environ["AWS_SESSION_TOKEN"] = "T2"
    fresh = await provider.refresh(first)
    assert fresh is not None
    assert fresh.token == "T2"
