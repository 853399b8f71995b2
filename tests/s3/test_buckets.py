"""Buckets, as botocore makes and finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.s3.buckets import (
    create_bucket,
    delete_bucket,
    get_bucket_location,
    head_bucket,
    parse_get_bucket_location,
    parse_head_bucket,
)
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request


def test_buckets_are_made_as_botocore_makes_them(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    assert sent(create_bucket("b")) == aws.sends("create_bucket", Bucket="b")
    assert sent(create_bucket("b", "eu-west-1", acl="private", object_lock=True)) == aws.sends(
        "create_bucket",
        Bucket="b",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ACL="private",
        ObjectLockEnabledForBucket=True,
    )


def test_the_first_region_is_not_named() -> None:
    assert create_bucket("b", "us-east-1").body == b""


def test_a_region_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ConfigError):
        create_bucket("b", "eu\0")


def test_other_calls_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    assert sent(delete_bucket("b")) == aws.sends("delete_bucket", Bucket="b")
    assert sent(head_bucket("b")) == aws.sends("head_bucket", Bucket="b")
    assert sent(get_bucket_location("b")) == aws.sends("get_bucket_location", Bucket="b")


@pytest.mark.parametrize(
    ("body", "region"),
    [
        (b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>', "us-east-1"),
        (b"<LocationConstraint>eu-central-1</LocationConstraint>", "eu-central-1"),
        (b"<LocationConstraint>EU</LocationConstraint>", "eu-west-1"),
        (
            b"<CreateBucketConfiguration><LocationConstraint></LocationConstraint></CreateBucketConfiguration>",
            "us-east-1",
        ),
    ],
)
def test_where_a_bucket_lives_is_read(body: bytes, region: str) -> None:
    assert parse_get_bucket_location(body) == region


def test_what_is_no_location_is_refused() -> None:
    with pytest.raises(BadXml):
        parse_get_bucket_location(b"<Error/>")


def test_a_head_may_name_the_region() -> None:
    assert parse_head_bucket({"x-amz-bucket-region": "eu-west-1"}) == "eu-west-1"
    assert parse_head_bucket({}) == ""
