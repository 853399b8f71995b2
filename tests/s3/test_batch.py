"""DeleteObjects: every key has an outcome, and none counts as deleted without proof."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError, S3PermissionError, S3RateLimit, S3ServerError
from haulyard.models import DeleteItem, DeleteOutcome
from haulyard.s3.batch import MAX_KEYS, delete_objects, is_batchable, parse_delete_objects
from haulyard.s3.xml import leaf

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

A, B = DeleteItem("a"), DeleteItem("b")


def answer(*entries: str) -> bytes:
    xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<?xml version="1.0"?>\n<DeleteResult xmlns="{xmlns}">{"".join(entries)}</DeleteResult>'.encode()


def error(key: str, code: str, version: str = "") -> str:
    named = leaf("VersionId", version) if version else ""
    return f"<Error>{leaf('Key', key)}{named}{leaf('Code', code)}<Message>No.</Message></Error>"


def deleted(key: str, version: str = "") -> str:
    return f"<Deleted>{leaf('Key', key)}{leaf('VersionId', version) if version else ''}</Deleted>"


def outcomes(items: list[DeleteItem], body: bytes, *, quiet: bool = True) -> list[DeleteOutcome]:
    return parse_delete_objects(delete_objects("bkt", items, quiet=quiet), body, items)


def test_a_batch_is_that_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    items = [DeleteItem("a&<b>'\"\r\n é"), DeleteItem("b", "v"), DeleteItem("c", if_match="e")]
    request = delete_objects("bkt", items, bypass_governance=True)
    assert sent(request) == aws.sends(
        "delete_objects",
        Bucket="bkt",
        Delete={
            "Quiet": True,
            "Objects": [{"Key": items[0].key}, {"Key": "b", "VersionId": "v"}, {"Key": "c", "ETag": '"e"'}],
        },
        BypassGovernanceRetention=True,
    )


def test_a_batch_carries_the_old_and_the_new_checksum() -> None:
    """Older stores want Content-MD5 on DeleteObjects."""
    request = delete_objects("bkt", [A])
    assert isinstance(request.body, bytes)
    md5 = hashlib.md5(request.body, usedforsecurity=False).digest()
    assert request.headers["content-md5"] == base64.b64encode(md5).decode()
    assert (
        request.headers["x-amz-checksum-crc32"] == base64.b64encode(crc32(request.body).to_bytes(4)).decode()
    )


@pytest.mark.parametrize("count", [0, MAX_KEYS + 1])
def test_a_batch_has_1_to_1000_keys(count: int) -> None:
    with pytest.raises(ConfigError):
        delete_objects("bkt", [A] * count)


def test_a_key_that_xml_cannot_carry_is_refused_by_name() -> None:
    assert not is_batchable("a\x01b")
    assert is_batchable("a\r\n\tb é \U0001f600")
    with pytest.raises(ConfigError, match=r"a\\x01b") as caught:
        delete_objects("bkt", [A, DeleteItem("a\x01b")])
    assert caught.value.hint


def test_a_batch_of_versions_is_repeatable_and_one_that_may_leave_markers_is_not() -> None:
    """Row "versioned buckets"."""
    assert delete_objects("bkt", [DeleteItem("a", "v"), DeleteItem("b", "w")]).repeatable
    assert not delete_objects("bkt", [DeleteItem("a", "v"), B]).repeatable
    assert not delete_objects("bkt", [DeleteItem("a", "v", "e")]).repeatable


def test_in_quiet_mode_keys_without_an_error_are_deleted() -> None:
    assert outcomes([A, B], answer()) == [DeleteOutcome("a"), DeleteOutcome("b")]


def test_each_key_has_its_own_outcome() -> None:
    """Row "DeleteObjects, per-key errors"."""
    first, second = outcomes([A, B], answer(error("b", "AccessDenied")))
    assert first.error is None
    assert isinstance(second.error, S3PermissionError)
    assert (second.error.key, second.error.bucket, second.error.code) == ("b", "bkt", "AccessDenied")
    assert "s3:DeleteObject on arn:aws:s3:::bkt/b" in second.error.hint
    (slow,) = outcomes([A], answer(error("a", "SlowDown")))
    assert isinstance(slow.error, S3RateLimit)
    (internal,) = outcomes([A], answer(error("a", "InternalError")))
    assert isinstance(internal.error, S3ServerError)


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion"])
def test_an_absent_key_counts_as_deleted(code: str) -> None:
    """Row "DeleteObjects, per-key errors"."""
    assert outcomes([A, B], answer(error("b", code))) == [DeleteOutcome("a"), DeleteOutcome("b")]


@pytest.mark.parametrize("body", [b"", b"<Error/>", b"<DeleteResult>", b"not xml"])
def test_nothing_is_deleted_by_an_answer_that_cannot_be_read(body: bytes) -> None:
    for outcome in outcomes([A, B], body):
        assert isinstance(outcome.error, S3ServerError)
        assert outcome.error.hint


def test_an_answer_about_a_foreign_key_proves_nothing() -> None:
    """A key in the answer that we did not ask for may be one of ours that the store misspelt."""
    first, second = outcomes([A, B], answer(error("x", "AccessDenied"), deleted("a")))
    assert first.error is None
    assert isinstance(second.error, S3ServerError)
    assert isinstance(outcomes([A], answer(deleted("x")))[0].error, S3ServerError)


def test_without_quiet_mode_every_key_must_be_listed() -> None:
    first, second = outcomes([A, B], answer(deleted("a")), quiet=False)
    assert first.error is None
    assert isinstance(second.error, S3ServerError)


def test_new_and_deleted_markers_are_told_apart() -> None:
    body = answer(
        "<Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m</DeleteMarkerVersionId>"
        "</Deleted>",
        "<Deleted><Key>a</Key><VersionId>v</VersionId></Deleted>",
        "<Deleted><Key>b</Key><VersionId>n</VersionId><DeleteMarker>true</DeleteMarker>"
        "<DeleteMarkerVersionId>n</DeleteMarkerVersionId></Deleted>",
    )
    items = [A, DeleteItem("a", "v"), DeleteItem("b", "n")]
    assert outcomes(items, body, quiet=False) == [
        DeleteOutcome("a", "", is_marker=True, marker_version_id="m"),
        DeleteOutcome("a", "v"),
        DeleteOutcome("b", "n", is_marker=True, marker_version_id="n"),
    ]


def test_versions_of_a_key_are_told_apart() -> None:
    items = [DeleteItem("a", "v"), DeleteItem("a", "w")]
    first, second = outcomes(items, answer(error("a", "AccessDenied", "w")))
    assert first.error is None
    assert second.error is not None


def test_an_error_without_its_version_fails_every_version_of_the_key() -> None:
    items = [DeleteItem("a", "v"), DeleteItem("a", "w"), B]
    first, second, third = outcomes(items, answer(error("a", "AccessDenied")))
    assert first.error is not None
    assert second.error is not None
    assert third.error is None


def test_an_error_that_names_a_version_nobody_gave_fails_the_key() -> None:
    (outcome,) = outcomes([A], answer(error("a", "AccessDenied", "null")))
    assert outcome.error is not None


keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@given(st.lists(keys, min_size=1, max_size=6, unique=True), st.data())
def test_no_failed_key_is_lost(names: list[str], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from(names)))
    body = answer(*(error(name, "AccessDenied") for name in sorted(bad)))
    found = outcomes([DeleteItem(name) for name in names], body)
    assert [outcome.key for outcome in found] == names
    assert {outcome.key for outcome in found if outcome.error} == bad
