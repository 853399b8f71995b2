"""What names mean, and which are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import botocore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.url import (
    PARTITIONS,
    LocalPath,
    S3Url,
    StdStream,
    check_bucket,
    is_dns_bucket,
    is_host_label,
    parse,
    parse_access_point,
    parse_aws_host,
    partition_of,
)

ARN = "arn:aws:s3:us-east-1:123456789012:accesspoint/name"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/key", S3Url("bucket", "key")),
        ("s3://bucket", S3Url("bucket")),
        ("s3://bucket/", S3Url("bucket")),
        ("s3a://bucket/a/b", S3Url("bucket", "a/b")),
        ("s3n://bucket/a/b", S3Url("bucket", "a/b")),
        ("S3://bucket/a", S3Url("bucket", "a")),
        ("s3://bucket/a?b#c%20d", S3Url("bucket", "a?b#c%20d")),
        ("s3://bucket//a", S3Url("bucket", "/a")),
        ("s3://Old_Bucket/x", S3Url("Old_Bucket", "x")),
        (f"s3://{ARN}/a/b", S3Url(ARN, "a/b", region="us-east-1")),
        (f"s3://{ARN}", S3Url(ARN, region="us-east-1")),
        (f"{ARN}/a", S3Url(ARN, "a", region="us-east-1")),
        (
            "s3://arn:aws:s3:us-east-1:123456789012:accesspoint:name/a",
            S3Url("arn:aws:s3:us-east-1:123456789012:accesspoint:name", "a", region="us-east-1"),
        ),
        ("arn:aws:s3:::bucket/a/b", S3Url("bucket", "a/b")),
        ("arn:aws-cn:s3:::bucket", S3Url("bucket")),
        ("-", StdStream()),
        ("./-", LocalPath("./-")),
        ("a/b/", LocalPath("a/b/")),
        ("/s3:/x", LocalPath("/s3:/x")),
        ("file:///data/a%20b", LocalPath("/data/a b")),
        ("file://localhost/data/a", LocalPath("/data/a")),
    ],
)
def test_a_name_is_understood(text: str, expected: S3Url | LocalPath | StdStream) -> None:
    assert parse(text) == expected
    assert type(parse(text)) is type(expected)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bucket.s3.us-west-2.amazonaws.com/a%20b+c", S3Url("bucket", "a b+c", region="us-west-2")),
        ("https://bucket.s3.amazonaws.com/k", S3Url("bucket", "k")),
        ("http://bucket.s3.amazonaws.com:80/k", S3Url("bucket", "k")),
        ("https://BUCKET.S3.amazonaws.com:443/k", S3Url("bucket", "k")),
        ("https://my.s3.data.s3.us-east-1.amazonaws.com/k", S3Url("my.s3.data", "k", region="us-east-1")),
        ("https://s3.us-west-2.amazonaws.com/bucket/a/b", S3Url("bucket", "a/b", region="us-west-2")),
        ("https://s3.amazonaws.com/bucket", S3Url("bucket")),
        ("https://s3.amazonaws.com/bucket/", S3Url("bucket")),
        ("https://s3-eu-west-1.amazonaws.com/bucket/k", S3Url("bucket", "k", region="eu-west-1")),
        ("https://bucket.s3-eu-west-1.amazonaws.com/k", S3Url("bucket", "k", region="eu-west-1")),
        ("https://s3-external-1.amazonaws.com/bucket/k", S3Url("bucket", "k", region="us-east-1")),
        (
            "https://b.s3.dualstack.eu-west-1.amazonaws.com/k",
            S3Url("b", "k", region="eu-west-1", dualstack=True),
        ),
        (
            "https://s3-fips.us-gov-west-1.amazonaws.com/b/k",
            S3Url("b", "k", region="us-gov-west-1", fips=True),
        ),
        (
            "https://b.s3-fips.dualstack.us-east-2.amazonaws.com/k",
            S3Url("b", "k", region="us-east-2", dualstack=True, fips=True),
        ),
        ("https://b.s3-accelerate.amazonaws.com/k", S3Url("b", "k", accelerate=True)),
        (
            "https://b.s3-accelerate.dualstack.amazonaws.com/k",
            S3Url("b", "k", dualstack=True, accelerate=True),
        ),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/k", S3Url("b", "k", region="cn-north-1")),
        ("https://s3.eusc-de-east-1.amazonaws.eu/b/k", S3Url("b", "k", region="eusc-de-east-1")),
        ("https://s3.us-iso-east-1.c2s.ic.gov/b/k", S3Url("b", "k", region="us-iso-east-1")),
        ("https://b.s3.amazonaws.com/k?versionId=v%2F1", S3Url("b", "k", "v/1")),
        (
            "https://na-me-123456789012.s3-accesspoint.us-west-2.amazonaws.com/k",
            S3Url("arn:aws:s3:us-west-2:123456789012:accesspoint/na-me", "k", region="us-west-2"),
        ),
        (
            "https://n-123456789012.s3-accesspoint-fips.dualstack.us-gov-east-1.amazonaws.com/k",
            S3Url(
                "arn:aws-us-gov:s3:us-gov-east-1:123456789012:accesspoint/n",
                "k",
                region="us-gov-east-1",
                dualstack=True,
                fips=True,
            ),
        ),
    ],
)
def test_an_https_url_of_aws_is_understood(url: str, expected: S3Url) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("gs://bucket/key", "gs://"),
        ("haul://bucket/key", "fsspec"),
        ("s3://", "no bucket name"),
        ("s3:///key", "no bucket name"),
        ("s3://../key", "no bucket name"),
        ("s3://.bucket/key", "no bucket name"),
        ("s3://bu cket/key", "no bucket name"),
        ("s3://bucket\n/key", "no bucket name"),
        ("s3://" + "b" * 256, "no bucket name"),
        ("s3://b--use1-az4--x-s3/k", "directory bucket"),
        ("s3://name--use1-az4--xa-s3/k", "directory bucket"),
        ("s3://alias.mrap/k", "SigV4A"),
        ("s3://arn:aws:s3::123456789012:accesspoint/alias.mrap/k", "SigV4A"),
        ("https://alias.mrap.accesspoint.s3-global.amazonaws.com/k", "SigV4A"),
        ("s3://arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/n/k", "s3-outposts"),
        ("s3://arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/n/k", "s3-object-lambda"),
        ("s3://name-abcdefghijklmnopqrstuvwxyz0123456789abcd--op-s3/k", "Outposts"),
        ("s3://arn:aws:s3:us-east-1:123456789012:job/1/k", "no access point"),
        ("s3://arn:aws:s3:us-east-1:123456789012:accesspoint/na_me/k", "no valid access point"),
        ("s3://arn:aws:s3:us-east-1::accesspoint/name/k", "no valid access point"),
        ("s3://arn:aws:ec2:us-east-1:123456789012:instance/x", "not an ARN of S3"),
        ("https://b.s3-website-us-east-1.amazonaws.com/k", "website"),
        ("https://b.s3-website.eu-central-1.amazonaws.com/k", "website"),
        ("https://storage.example/bucket/key", "storage.example is not an S3 endpoint"),
        ("https://ec2.us-east-1.amazonaws.com/k", "not an S3 endpoint"),
        ("https://s3.amazonaws.com.evil.example/b/k", "not an S3 endpoint"),
        ("https://s3.amazonaws.com/", "no bucket name"),
        ("https://b.s3.amazonaws.com/%FF", "UTF-8"),
        ("https://b.s3.amazonaws.com/k#part", "fragment"),
        ("file://server/share", "this machine"),
        ("file://", "this machine"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=A&X-Amz-Signature=SECRET",
        "https://b.s3.amazonaws.com/k?sig=SECRET",
        "https://storage.example/k?X-Amz-Signature=SECRET",
        "https://user:SECRET@b.s3.amazonaws.com/k",
        "https://user:SEC/RET@b.s3.amazonaws.com/k",
        "s3://AKID:SECRET@bucket/key",
        "s3://bucket?X-Amz-Signature=SECRET",
        "gs://user:SECRET@bucket/key",
        "haul://user:SECRET@bucket/key",
        "haul://bucket/key?X-Amz-Signature=SECRET",
    ],
)
def test_a_secret_in_a_url_is_never_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "SEC" not in str(caught.value) + caught.value.hint


def test_a_name_of_fsspec_is_told_as_it_is_written_here() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("haul://bucket/a/b.csv")
    assert caught.value.hint == "write s3://bucket/a/b.csv"


def test_a_presigned_url_is_told_apart() -> None:
    with pytest.raises(ConfigError, match="presigned"):
        parse("https://b.s3.amazonaws.com/k?X-Amz-Signature=x")


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True), st.text(max_size=20))
def test_an_s3_url_reads_back_as_it_is_written(bucket: str, key: str) -> None:
    assert parse(f"s3://{bucket}/{key}") == S3Url(bucket, key)
    assert str(S3Url(bucket, key)) == f"s3://{bucket}/{key}"


def test_every_kind_of_name_prints_as_it_is_typed() -> None:
    assert [str(parse(text)) for text in ("-", "a/b/", "s3://b/k")] == ["-", "a/b/", "s3://b/k"]


@given(st.text(max_size=12))
def test_an_accepted_bucket_can_neither_climb_nor_break_out(bucket: str) -> None:
    try:
        check_bucket(bucket)
    except ConfigError:
        return
    assert not set(bucket) & set("/\\?#@:% \r\n")
    assert bucket not in {".", ".."}


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("abc", True),
        ("a.b", True),
        ("12345", True),
        ("a-b.c-d", True),
        ("b" * 63, True),
        ("ab", False),
        ("b" * 64, False),
        ("Abc", False),
        ("a_b", False),
        ("a..b", False),
        ("a.-b", False),
        ("-ab", False),
        ("192.168.5.4", False),
    ],
)
def test_which_buckets_may_be_part_of_a_host_name(bucket: str, *, expected: bool) -> None:
    assert is_dns_bucket(bucket) is expected


def test_host_labels_are_those_of_rfc_1123() -> None:
    assert is_host_label("eu-west-1")
    assert not any(map(is_host_label, ["", "-a", "a-", "a.b", "a_b", "a/b", "a" * 64, "a\n"]))


def test_partitions_are_those_of_botocore() -> None:
    data = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())
    theirs = {each["id"]: each for each in data["partitions"]}
    assert {each.name for each in PARTITIONS} == set(theirs)
    for name, each in theirs.items():
        for region in each["regions"]:
            if region.endswith("-global"):
                continue
            ours = partition_of(region)
            assert (ours.name, ours.dns_suffix) == (name, each["outputs"]["dnsSuffix"]), region


def test_an_access_point_is_taken_apart() -> None:
    assert parse_access_point(ARN) == ("aws", "us-east-1", "123456789012", "name")
    with pytest.raises(ConfigError):
        parse_access_point("arn:aws:s3")


def test_a_foreign_host_is_not_awss() -> None:
    assert parse_aws_host("s3.example.com") is None
    assert parse_aws_host("amazonaws.com") is None


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import haulyard.url; "
        "heavy = {'asyncio', 'urllib.parse', 'dataclasses', 'botocore', 'ipaddress'}; "
        "print(heavy & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
