"""Tags of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.s3.tagging import delete_object_tagging, get_object_tagging, parse_tagging, put_object_tagging
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=10)


def test_calls_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    assert sent(get_object_tagging("b", "k", "v")) == aws.sends(
        "get_object_tagging", Bucket="b", Key="k", VersionId="v"
    )
    assert sent(delete_object_tagging("b", "k")) == aws.sends("delete_object_tagging", Bucket="b", Key="k")
    request = put_object_tagging("b", "k", {"a b": "<c>", "é": ""}, "v")
    assert "content-md5" in request.headers
    assert sent(request) == aws.sends(
        "put_object_tagging",
        Bucket="b",
        Key="k",
        VersionId="v",
        Tagging={"TagSet": [{"Key": "a b", "Value": "<c>"}, {"Key": "é", "Value": ""}]},
    )


@given(st.dictionaries(texts.filter(bool), texts, max_size=10))
def test_tags_come_back_as_they_went(tags: dict[str, str]) -> None:
    body = put_object_tagging("b", "k", tags).body
    assert isinstance(body, bytes)
    assert parse_tagging(body) == tags


def test_tags_that_cannot_be_sent_are_refused() -> None:
    for tags in ({"a": "\0"}, {str(number): "" for number in range(11)}):
        with pytest.raises(ConfigError):
            put_object_tagging("b", "k", tags)


def test_no_tags_are_none() -> None:
    assert parse_tagging(b"<Tagging/>") == {}
    with pytest.raises(BadXml):
        parse_tagging(b"<Error/>")
