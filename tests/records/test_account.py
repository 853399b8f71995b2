from typing import Any

import orjson
import pytest

from haulyard.errors import JobError
from haulyard.records.account import Account

_START = 1_760_000_000.0


def _account() -> Account:
    account = Account(objects=2, retries=3, refused=1, pauses=1, paused=2.5)
    account.begin_run(_START, 7, "host")
    for at in range(10):
        account.calls += 1
        account.durations.add(0.01 * (at + 1))
        account.end("delivered", _START + at)
    account.end("passed_over", _START + 9, 4)
    account.end("malformed", _START + 9)
    account.end("rejected", _START + 9, 2)
    account.read(_START + 9, 1000)
    account.errors.update({"429": 1, "422": 2})
    account.goes_on(_START + 10)
    return account


def test_records_are_counted_at_their_end() -> None:
    account = _account()
    assert (account.records, account.delivered, account.failures) == (17, 10, 3)
    assert (account.calls, account.bytes_read) == (10, 1000)
    assert (account.seconds, account.rate) == (10, 1.7)
    assert account.peak == account.throughput.peak() == 64
    assert account.recent(_START + 9) == (8, 1000)


def test_it_comes_back_from_json_as_it_was() -> None:
    account = _account()
    written = orjson.loads(orjson.dumps(account.to_json()))
    again = Account.from_json(written)
    assert again.to_json() == account.to_json()
    assert again.durations.percentile(95) == account.durations.percentile(95)
    assert again.throughput.bins() == account.throughput.bins()


def test_what_was_made_for_a_commit_does_not_change_with_the_account() -> None:
    account = _account()
    made = account.to_json()
    before = orjson.dumps(made)
    account.durations.add(0.01)
    account.end("delivered", _START + 9)
    account.errors["429"] += 1
    account.begin_run(_START + 50, 8, "host")
    assert orjson.dumps(made) == before


def test_a_resumed_job_has_two_runs_and_the_pause_does_not_count() -> None:
    account = Account.from_json(_account().to_json())
    account.begin_run(_START + 3600, 8, "host")
    account.goes_on(_START + 3605)
    # A clock that is set back.
    account.goes_on(_START)
    assert [(run.start - _START, run.end - _START, run.pid) for run in account.runs] == [
        (0, 10, 7),
        (3600, 3605, 8),
    ]
    assert account.seconds == 15


def test_what_is_tried_again_counts_once() -> None:
    account = _account()
    account.end_anew("rejected", "delivered", _START + 11)
    account.end_anew("rejected", "failed", _START + 11)
    assert (account.rejected, account.failed, account.delivered, account.records) == (0, 1, 11, 17)


def test_nothing_happened_is_zero() -> None:
    account = Account()
    assert (account.records, account.rate, account.peak, account.seconds, account.runs) == (
        0,
        0.0,
        0.0,
        0,
        [],
    )


@pytest.mark.parametrize("name", ["delivered", "durations", "throughput", "runs"])
def test_what_is_no_account_is_refused(name: str) -> None:
    content: dict[str, Any] = _account().to_json()
    del content[name]
    with pytest.raises(JobError, match="cannot be understood"):
        Account.from_json(content)
