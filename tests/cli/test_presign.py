"""`haul presign`: signing needs no network where the endpoint is known."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from haulyard.s3.credentials import Credentials, CredentialsProvider

if TYPE_CHECKING:
    from tests.cli.conftest import Box, Result


@pytest.fixture
def real(haul: Box) -> Box:
    """A box with real connections and made-up keys."""
    haul.environ |= {
        "AWS_ENDPOINT_URL": "http://store:9000",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "hidden",
    }
    haul.real = True
    return haul


def query(result: Result) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(result.out.strip()).query).items()}


def test_a_url_for_reading(real: Box) -> None:
    result = real("presign", "s3://b/dir/k.txt", "--expires-in", "10m", "--version-id", "v1")
    assert result.code == 0
    assert result.out.startswith("http://store:9000/b/dir/k.txt?")
    assert query(result)["X-Amz-Expires"] == "600"
    assert query(result)["versionId"] == "v1"
    assert query(result)["X-Amz-SignedHeaders"] == "host"
    assert "hidden" not in result.out


def test_a_url_for_writing_names_the_headers_that_go_with_it(real: Box) -> None:
    result = real("presign", "s3://b/k", "--method", "put", "--content-type", "text/x", "--metadata", "a=b")
    assert query(result)["X-Amz-SignedHeaders"] == "content-type;host;x-amz-meta-a"
    assert result.err == "send with it: content-type: text/x\nsend with it: x-amz-meta-a: b\n"
    (event,) = real("presign", "s3://b/k", "--method", "PUT", "--content-type", "text/x", "--json").events
    assert event["headers"] == {"content-type": "text/x"}
    assert event["expires_at"].endswith("Z")


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_other_methods(real: Box, method: str) -> None:
    assert real("presign", "s3://b/k", "--method", method).code == 0


def test_a_form_for_uploads_below_a_prefix(real: Box) -> None:
    (event,) = real(
        *("presign", "s3://b/in/", "--method", "POST", "--max-size", "1MiB", "--json"),
        *("--content-type", "text/plain", "--acl", "private"),
    ).events
    fields = event["fields"]
    assert fields["key"] == "in/${filename}"
    assert (fields["acl"], fields["Content-Type"]) == ("private", "text/plain")
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert ["content-length-range", 0, 1024**2] in policy["conditions"]
    assert ["starts-with", "$key", "in/"] in policy["conditions"]
    text = real("presign", "s3://b/one", "--method", "POST").out.splitlines()
    assert text[0] == "http://store:9000/b"
    assert "key=one" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["s3://b"], "names a bucket"),
        (["s3://b/k", "--expires-in", "8d"], "cannot live"),
        (["s3://b/k", "--expires-in", "soon"], "neither a duration"),
        (["s3://b/k", "--method", "PATCH"], "invalid choice"),
        (["s3://b/k", "--method", "PUT", "--version-id", "v"], "cannot write a version"),
        (["s3://b/k", "--max-size", "1M"], "cannot limit the size"),
        (["s3://b/k", "--method", "POST", "--tag", "a=b"], "cannot be given tags"),
        (["s3://b/k", "--no-sign-request"], "anonymous access cannot presign"),
    ],
)
def test_what_cannot_be_signed(real: Box, words: list[str], message: str) -> None:
    result = real("presign", *words)
    assert result.code == 2
    assert message in result.err


def test_keys_that_die_sooner_are_said(real: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dying(self: CredentialsProvider, now: float) -> Credentials:
        return Credentials("AKID", "hidden", "token", now + 60)

    monkeypatch.setattr(CredentialsProvider, "get", dying)
    result = real("presign", "s3://b/k")
    assert result.code == 0
    assert "the credentials end at" in result.err
    assert "credentials end" not in real("presign", "s3://b/k", "--expires-in", "10").err


def test_the_region_is_learned_first_where_the_store_is_aws(
    real: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haulyard.errors import S3PermissionError
    from haulyard.s3.client import S3Client

    async def denied(self: S3Client, bucket: str) -> str:
        raise S3PermissionError(f"HeadBucket s3://{bucket}: denied")

    monkeypatch.setattr(S3Client, "head_bucket", denied)
    del real.environ["AWS_ENDPOINT_URL"]
    result = real("presign", "s3://bucket/k")
    assert result.out.startswith("https://bucket.s3.eu-west-1.amazonaws.com/k?")
    assert "region was not confirmed" in result.err
