"""Our signatures against botocore's, and our paths against the URL parser that sends them."""

from __future__ import annotations

import datetime as dt
import string
import timeit
from hashlib import sha256
from unittest import mock
from urllib.parse import quote, unquote

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyreqwest.http import Url

from haulyard.errors import UnsafeName
from haulyard.s3 import signing
from haulyard.s3.credentials import Credentials
from haulyard.s3.signing import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    amz_date,
    encode_query,
    sign,
    uri_encode,
    uri_encode_value,
    wire_path,
)

KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.lists(
        st.sampled_from([".", "..", "", "a", "b c", "%2E", "é", "~+*", "...", ".x"]), min_size=1, max_size=8
    ).map("/".join),
).filter(bool)
NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12).map(
    lambda name: "x-h" + name
)
VALUES = st.text(string.ascii_letters + string.digits + ' \t"/=;,+~*%', max_size=30)
HEADERS = st.dictionaries(
    st.one_of(NAMES, st.sampled_from(["content-type", "content-length", "range", "user-agent", "expect"])),
    VALUES,
    max_size=6,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
QUERY = st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=6)
SECRETS = st.text(string.ascii_letters + string.digits + "/+", min_size=1, max_size=40)
TOKENS = st.one_of(st.just(""), SECRETS)
REGIONS = st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1", "auto", "garage"])
TIMES = st.integers(0, 4_000_000_000)


def botocore_headers(
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes | None,
    credentials: Credentials,
    region: str,
    now: int,
) -> dict[str, str]:
    """Sign with botocore; a body of None is left unsigned."""
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers, data=body or b"")
    if body is None:
        request.context["client_config"] = botocore.config.Config(s3={"payload_signing_enabled": False})
    keys = botocore.credentials.Credentials(
        credentials.access_key, credentials.secret_key, credentials.token or None
    )
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        botocore.auth.S3SigV4Auth(keys, "s3", region).add_auth(request)
    names = ("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
    return {name: request.headers[name] for name in names if name in request.headers}


@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    key=KEYS,
    query=QUERY,
    headers=HEADERS,
    body=st.one_of(st.none(), st.binary(max_size=20)),
    secret=SECRETS,
    token=TOKENS,
    region=REGIONS,
    now=TIMES,
)
@example(
    method="PUT",
    key="a b/ü+~*'(x)",
    query=[("b", ""), ("a", "2"), ("a", "10"), ("a-", "1"), ("A", "é")],
    headers={"x-amz-meta-x": "  two   runs  of\tspaces "},
    body=b"",
    secret="s",
    token="t/+=",
    region="us-east-1",
    now=0,
)
def test_the_signature_equals_botocores(
    method: str,
    key: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes | None,
    secret: str,
    token: str,
    region: str,
    now: int,
) -> None:
    host = "bucket.s3.example.com:8443"
    credentials = Credentials("AKIDEXAMPLE", secret, token)
    path = "/" + quote(key, safe="/~")
    raw_query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query)
    payload = UNSIGNED_PAYLOAD if body is None else sha256(body).hexdigest()
    ours = sign(method, host, path, query, headers, payload, credentials, region, amz_date(now))
    theirs = botocore_headers(
        method, f"https://{host}{path}?{raw_query}", headers, body, credentials, region, now
    )
    assert ours == theirs


@given(TEXT)
def test_encoding_equals_the_rfc_rules_of_quote(text: str) -> None:
    assert uri_encode(text) == quote(text, safe="/~")
    assert uri_encode_value(text) == quote(text, safe="~")


def test_a_query_is_sorted_by_encoded_name_and_value() -> None:
    assert encode_query([("b", ""), ("a", "é"), ("a", "B"), ("A/", "1")]) == "A%2F=1&a=%C3%A9&a=B&b="


@given(key=KEYS, bucket=st.sampled_from([None, "bucket"]), prefix=st.sampled_from(["", "/below"]))
@example(key="../bkt2/x", bucket="bucket", prefix="")
@example(key="a/..", bucket=None, prefix="")
@example(key="./.", bucket=None, prefix="")
@example(key="//../..//.", bucket="bucket", prefix="")
def test_what_is_sent_survives_the_url_parser_or_is_refused(
    key: str, bucket: str | None, prefix: str
) -> None:
    try:
        wire, canonical = wire_path(bucket, key)
    except UnsafeName:
        assert key in {".", ".."}
        return
    assert Url(f"http://host{prefix}{wire}").path == prefix + wire
    start = f"/{bucket}/" if bucket else "/"
    assert unquote(wire) == unquote(canonical) == start + key
    assert "%2F" not in canonical
    assert canonical == start + uri_encode(key)


def test_only_slashes_beside_dot_segments_are_encoded() -> None:
    assert wire_path("b", "x/a/../c/.hidden/...") == (
        "/b/x/a%2F..%2Fc/.hidden/...",
        "/b/x/a/../c/.hidden/...",
    )
    assert wire_path(None, "x/.") == ("/x%2F.", "/x/.")


def test_the_bucket_itself_has_no_trailing_slash() -> None:
    assert wire_path("b", "") == ("/b", "/b")
    assert wire_path(None, "") == ("/", "/")


@pytest.mark.parametrize("key", [".", "..", "a\udcff"])
def test_a_key_that_no_url_can_express_is_refused_by_name(key: str) -> None:
    with pytest.raises(UnsafeName) as caught:
        wire_path("bucket", key)
    assert (caught.value.bucket, caught.value.key) == ("bucket", key)


def test_the_date_changes_with_the_second() -> None:
    assert [amz_date(now) for now in (0, 1.9, 1_700_000_000)] == [
        "19700101T000000Z",
        "19700101T000001Z",
        "20231114T221320Z",
    ]


def test_derived_keys_are_cached_within_bounds() -> None:
    for number in range(3 * signing._MAX_KEYS):
        signing.signing_key("secret", "20240101", f"r{number}", "s3")
        assert len(signing._keys) <= signing._MAX_KEYS
    first = signing.signing_key("secret", "20240101", "eu-west-1", "s3")
    assert signing.signing_key("secret", "20240101", "eu-west-1", "s3") is first
    assert signing.signing_key("other", "20240101", "eu-west-1", "s3") != first


def test_an_authorization_header_of_the_caller_is_not_signed() -> None:
    credentials = Credentials("AKID", "secret")
    arguments = ("GET", "h", "/", ())
    rest = (EMPTY_SHA256, credentials, "us-east-1", amz_date(0))
    assert sign(*arguments, {"authorization": "old"}, *rest) == sign(*arguments, {}, *rest)


def test_signing_stays_cheap() -> None:
    # The bar is 14 µs (docs/design.md); ten times that still shows a lost cache on any machine.
    credentials = Credentials("AKID", "s" * 40)

    def once() -> None:
        _, path = wire_path("bucket", "data/2024/part-00001.bin")
        sign("GET", "host", path, (), {}, EMPTY_SHA256, credentials, "us-east-1", amz_date(1.7e9))

    assert min(timeit.repeat(once, number=200, repeat=5)) / 200 < 140e-6
