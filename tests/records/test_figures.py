from tests.records.ledgers import START

from haulyard.records.account import Account
from haulyard.records.figures import fields_of, lines_of


def _account() -> Account:
    account = Account(calls=1010, retries=10, refused=4, pauses=2, paused=3.0, bytes_read=4096)
    account.begin_run(START, 7, "host")
    account.end("delivered", START, 990)
    account.end("passed_over", START, 3)
    account.end("rejected", START, 6)
    account.end("failed", START, 1)
    account.errors.update({"HTTP 429": 4, "HTTP 422": 6, "gone": 0})
    account.durations.add(0.05, 1000)
    account.goes_on(START + 10)
    return account


def test_people_read_every_number_that_says_something() -> None:
    assert lines_of(_account()) == [
        "1,000 records: 990 delivered, 3 passed over, 7 failed (6 rejected, 1 failed)",
        "1,010 calls, 10 of them again, 4 refused (429), 2 pauses of 3 s in all",
        "10 s of work in 1 run, 100 records a second on the average",
        "time of 1,000 answers: p50 50 ms, p95 50 ms, p99 50 ms",
        "errors seen: HTTP 422 6, HTTP 429 4",
    ]


def test_nothing_is_no_line() -> None:
    assert lines_of(Account()) == []


def test_many_kinds_of_errors_are_counted() -> None:
    account = Account()
    account.errors.update({f"HTTP {status}": 1 for status in range(400, 410)})
    assert lines_of(account)[-1].endswith("HTTP 405 1, and 4 other kinds")


def test_programs_read_the_same_as_numbers() -> None:
    fields = fields_of(_account())
    assert (fields["records"], fields["delivered"], fields["failed"]) == (1000, 990, 7)
    assert fields["failures_by_kind"] == {"malformed": 0, "transform": 0, "rejected": 6, "failed": 1}
    assert (fields["working_seconds"], fields["records_a_second"], fields["runs"]) == (10, 100, 1)
    assert (fields["paused_seconds"], fields["retries"], fields["refused"]) == (3.0, 10, 4)
    assert {name: fields["latency"][name] for name in ("count", "mean", "p50", "p99", "longest")} == {
        "count": 1000,
        "mean": 0.05,
        "p50": 0.05,
        "p99": 0.05,
        "longest": 0.05,
    }
