import pytest

from haulyard.journal.reporting.wording import duration, moment, number, size, things, visible


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "12.3 ms"),
        (1.44, "1.4 s"),
        (2.0, "2 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3599.9, "1 h"),
        (7380, "2 h 3 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
        (86400, "1 d"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1023.96 * 1024, "1.0 MiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_a_size_is_told_in_the_largest_unit_of_which_there_is_one(value: float, text: str) -> None:
    assert size(value) == text


def test_numbers_keep_their_thousands_apart_and_small_rates_their_decimals() -> None:
    assert [number(each) for each in (0, 1234567, 12.34, 3.14, 0.123)] == [
        "0",
        "1,234,567",
        "12",
        "3.1",
        "0.12",
    ]
    assert (things(1, "object"), things(2000, "object")) == ("1 object", "2,000 objects")


def test_what_does_not_print_is_spelled_out() -> None:
    assert visible("a\nb\u202ec\U000e0001é") == "a\\x0ab\\u202ec\\U000e0001é"


def test_a_moment_that_never_was_is_empty() -> None:
    assert moment(0.0) == ""
    assert moment(1_700_000_000.9) == "2023-11-14 22:13:20 UTC"
