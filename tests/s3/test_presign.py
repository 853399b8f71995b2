"""Presigned URLs and forms against botocore's."""

from __future__ import annotations

import base64
import datetime as dt
import json
import string
from functools import cache
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.s3.credentials import Credentials
from haulyard.s3.endpoint import EndpointConfig, resolve
from haulyard.s3.presign import MAX_EXPIRES, PostPolicy, check_expires, dies_early, presign, presign_post
from haulyard.s3.request import Request

ADDRESS = resolve(EndpointConfig("https://store.example:8443", "eu-west-1"), "bucket")
NOW = 1_700_000_000.0
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SAFE = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=20)


@cache
def botocore_client(token: str) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        "eu-west-1",
        endpoint_url="https://store.example:8443",
        aws_access_key_id="AKID",
        aws_secret_access_key="secret",
        aws_session_token=token or None,
        config=botocore.config.Config(signature_version="s3v4"),
    )


def at(now: float) -> mock._patch[mock.Mock]:
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    return mock.patch("botocore.auth.get_current_datetime", return_value=moment)


@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    key=TEXT.filter(lambda key: not key.startswith(".") and "/." not in key),
    query=st.dictionaries(TEXT, st.text(string.printable, max_size=8), max_size=4),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "x-amz-meta-a", "x-amz-acl", "user-agent"]),
        st.text(string.ascii_letters + " ;", max_size=12),
    ),
    secret=SAFE,
    token=st.one_of(st.just(""), SAFE),
    expires=st.integers(1, MAX_EXPIRES),
)
def test_a_presigned_url_equals_botocores(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    secret: str,
    token: str,
    expires: int,
) -> None:
    request = Request("Any", method, "bucket", key, tuple(query.items()), headers)
    ours = presign(request, ADDRESS, Credentials("AKID", secret, token), expires=expires, now=NOW)

    raw = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items())
    url = f"https://store.example:8443/bucket/{quote(key, safe='/~')}" + (f"?{raw}" if raw else "")
    theirs = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers)
    keys = botocore.credentials.Credentials("AKID", secret, token or None)
    with at(NOW):
        botocore.auth.S3SigV4QueryAuth(keys, "s3", "eu-west-1", expires=expires).add_auth(theirs)

    left, right = urlsplit(ours.url), urlsplit(theirs.url)
    assert left[:3] == right[:3]
    assert sorted(parse_qsl(left.query, keep_blank_values=True)) == sorted(
        parse_qsl(right.query, keep_blank_values=True)
    )
    assert ours.headers == {name: value for name, value in headers.items() if name != "user-agent"}
    assert ours.expires_at == NOW + expires


@given(
    key=st.one_of(TEXT.map(lambda key: "k" + key), st.just("up/${filename}")),
    fields=st.dictionaries(st.sampled_from(["acl", "Content-Type", "x-amz-meta-a"]), TEXT),
    length=st.tuples(st.integers(0, 10), st.integers(10, 10**12)),
    token=st.sampled_from(["", "token/+="]),
    expires=st.integers(1, MAX_EXPIRES),
)
def test_a_post_form_equals_botocores(
    key: str, fields: dict[str, str], length: tuple[int, int], token: str, expires: int
) -> None:
    policy = PostPolicy(key=key, fields=fields, length_range=length)
    ours = presign_post(
        policy, "bucket", ADDRESS, Credentials("AKID", "secret", token), expires=expires, now=NOW
    )

    client = botocore_client(token)
    conditions: list[object] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", *length])
    moment = dt.datetime.fromtimestamp(NOW, dt.UTC)
    with at(NOW), mock.patch("botocore.signers.get_current_datetime", return_value=moment):
        theirs = client.generate_presigned_post(
            "bucket", key, Fields=dict(fields), Conditions=conditions, ExpiresIn=expires
        )
    assert {"url": ours.url, "fields": dict(ours.fields)} == theirs


def policy_of(post: PostPolicy) -> list[object]:
    form = presign_post(post, "bucket", ADDRESS, Credentials("AKID", "secret"), expires=60, now=NOW)
    document = json.loads(base64.b64decode(form.fields["policy"]))
    conditions = document["conditions"]
    assert isinstance(conditions, list)
    return conditions


def test_a_key_prefix_allows_any_key_below_it() -> None:
    assert ["starts-with", "$key", "user/7/"] in policy_of(PostPolicy(key_prefix="user/7/"))


def test_further_conditions_are_taken_as_they_are() -> None:
    condition: list[str | int] = ["starts-with", "$Content-Type", "image/"]
    assert condition in policy_of(PostPolicy(key="k", conditions=[condition]))


@pytest.mark.parametrize("policy", [PostPolicy(), PostPolicy(key="k", length_range=(5, 4))])
def test_a_policy_that_no_upload_can_meet_is_refused(policy: PostPolicy) -> None:
    with pytest.raises(ConfigError):
        policy_of(policy)


@pytest.mark.parametrize("seconds", [0, -1, MAX_EXPIRES + 1])
def test_more_than_seven_days_are_refused(seconds: int) -> None:
    with pytest.raises(ConfigError, match="cannot live") as caught:
        check_expires(seconds)
    assert "7 days" in caught.value.hint


def test_credentials_that_end_sooner_than_the_url_are_told() -> None:
    credentials = Credentials("AKID", "secret", "token", expires_at=NOW + 100)
    assert dies_early(credentials, 101, NOW) == NOW + 100
    assert dies_early(credentials, 100, NOW) is None
    assert dies_early(Credentials("AKID", "secret"), MAX_EXPIRES, NOW) is None
    url = presign(Request("GetObject", "GET", "bucket", "k"), ADDRESS, credentials, expires=3600, now=NOW)
    assert url.expires_at == NOW + 100


def test_neither_url_nor_form_shows_its_signature_in_repr() -> None:
    credentials = Credentials("AKID", "secret")
    url = presign(Request("GetObject", "GET", "bucket", "k"), ADDRESS, credentials, expires=60, now=NOW)
    form = presign_post(PostPolicy(key="k"), "bucket", ADDRESS, credentials, expires=60, now=NOW)
    assert "Signature" not in repr(url)
    assert form.fields["x-amz-signature"] not in repr(form)


def test_a_key_with_dot_segments_is_signed_as_it_is_and_sent_shielded() -> None:
    url = presign(
        Request("GetObject", "GET", "bucket", "a/../b"), ADDRESS, Credentials("A", "s"), expires=60, now=NOW
    )
    assert "/bucket/a%2F..%2Fb?" in url.url
