"""What `haul doctor` says of credentials and clocks."""

from __future__ import annotations

import asyncio

import pytest

from haulyard.cli.surroundings import describe_clock, describe_keys, within
from haulyard.errors import TransportError
from haulyard.s3.credentials import Credentials
from haulyard.stores.diagnosis import Keys

SECRET = "not-to-be-shown-anywhere"
NOW = 1_700_000_000.0


def test_a_server_without_a_date_leaves_the_clock_unknown() -> None:
    assert describe_clock(None).state == "unknown"


@pytest.mark.parametrize(
    ("left", "token", "state", "said"),
    [
        (None, "", "ok", "without an end"),
        (None, "token", "ok", "temporary"),
        (7200.0, "token", "ok", "2 h"),
        (120.0, "token", "warning", "2 min"),
    ],
)
def test_keys_are_masked_and_their_end_is_told(left: float | None, token: str, state: str, said: str) -> None:
    expires = None if left is None else NOW + left
    keys = Keys(Credentials("AKIAEXAMPLEEXAMPLE12", SECRET, token, expires, "env"))
    found = describe_keys(keys, NOW)
    assert found.state == state
    assert found.detail.startswith("AKIA****LE12 from the environment")
    assert said in found.detail
    assert SECRET not in repr((keys, found))


def test_a_short_access_key_is_not_shown_at_all() -> None:
    assert Keys(Credentials("short", SECRET)).masked == "****"


@pytest.mark.anyio
async def test_a_check_that_takes_too_long_is_an_error_of_its_own() -> None:
    with pytest.raises(TransportError, match="no answer within 0 s"):
        await within(0.01, asyncio.Event().wait())
