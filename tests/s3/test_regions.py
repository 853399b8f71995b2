"""What is learned from a misdirected request, and what is not believed."""

from __future__ import annotations

import pytest

from haulyard.s3.regions import RegionCache, learn

MALFORMED = (
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting "
    b"'eu-west-1'</Message><Region>eu-west-1</Region></Error>"
)
MOVED = b"<Error><Code>TemporaryRedirect</Code><Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint></Error>"


@pytest.mark.parametrize("status", [301, 307, 400, 403])
def test_the_header_names_the_region_where_there_is_no_body(status: int) -> None:
    assert learn(status, {"x-amz-bucket-region": "eu-west-1"}, b"", "us-east-1") == "eu-west-1"


def test_the_body_of_a_malformed_authorization_names_it() -> None:
    assert learn(400, {}, MALFORMED, "us-east-1") == "eu-west-1"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"location": "https://b.s3.eu-west-1.amazonaws.com/k"}, b""),
        ({"location": "https://b.s3-eu-west-1.amazonaws.com:443/k"}, b""),
        ({"location": "/relative"}, MOVED),
        ({}, MOVED),
    ],
)
def test_the_host_of_a_redirect_names_it(headers: dict[str, str], body: bytes) -> None:
    assert learn(307, headers, body, "us-east-1") == "eu-west-1"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"x-amz-bucket-region": "eu-west-1"}, b""),
        (404, {"x-amz-bucket-region": "eu-west-1"}, b""),
        (403, {"x-amz-bucket-region": "us-east-1"}, b""),
        (400, {}, b"<Error><Code>InvalidArgument</Code><Region>eu-west-1</Region></Error>"),
        (400, {}, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>"),
        (301, {}, b""),
        (301, {}, b"<html>"),
    ],
)
def test_an_answer_that_is_no_misdirection_teaches_nothing(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    assert learn(status, headers, body, "us-east-1") is None


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/k",
        "https://b.s3.eu-west-1.amazonaws.com.evil.example/k",
        "https://evil.example/?b.s3.eu-west-1.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com@evil.example/k",
        "https://b.s3.cn-north-1.amazonaws.com.cn/k",
        "https://b.s3-website-eu-west-1.amazonaws.com/k",
        "https://b.s3.amazonaws.com/k",
    ],
)
def test_a_redirect_to_a_foreign_host_is_not_followed(location: str) -> None:
    assert learn(307, {"location": location}, b"", "us-east-1") is None


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    headers = {"location": "http://b.s3.eu-west-1.amazonaws.com/k"}
    assert learn(307, headers, b"", "us-east-1") is None
    assert learn(307, headers, b"", "us-east-1", secure=False) == "eu-west-1"


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "evil.example/", "-x", "a b"])
def test_a_region_of_another_partition_or_no_region_at_all_is_not_believed(region: str) -> None:
    assert learn(301, {"x-amz-bucket-region": region}, b"", "us-east-1") is None


def test_a_bucket_is_learned_once_and_can_be_forgotten() -> None:
    cache = RegionCache()
    assert cache.get("b") == ""
    cache.learn("b", "eu-west-1")
    assert cache.get("b", "us-east-1") == "eu-west-1"
    cache.forget("b")
    cache.forget("b")
    assert cache.get("b", "us-east-1") == "us-east-1"


def test_the_cache_is_bounded() -> None:
    cache = RegionCache()
    for number in range(RegionCache._LIMIT + 1):
        cache.learn(f"b{number}", "eu-west-1")
    assert (cache.get("b0"), cache.get(f"b{RegionCache._LIMIT}")) == ("", "eu-west-1")
