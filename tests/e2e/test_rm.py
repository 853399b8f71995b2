"""rm as its users meet it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.saying import says

if TYPE_CHECKING:
    from tests.e2e.conftest import Program


def keys(haul: Program, url: str) -> list[str]:
    return [event["key"] for event in haul.ok("ls", "-r", "--json", url).events]


def fill(haul: Program, bucket: str, *names: str) -> None:
    for name in names:
        path = haul.cwd / "fill" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    haul.ok("cp", "fill/", f"{bucket}/")


def test_prefixes_wildcards_and_single_objects(haul: Program, bucket: str) -> None:
    fill(haul, bucket, "a", "b.gz", "d/c.gz", "d/e", "dd", "k1", "k2")
    dry = haul.ok("rm", "-r", f"{bucket}/d", "--dry-run").out.splitlines()
    assert dry == [f"delete: {bucket}/d/c.gz (dry run)", f"delete: {bucket}/d/e (dry run)"]
    assert haul.ok("rm", f"{bucket}/*.gz").out.count("\n") == 2
    haul.ok("rm", "-r", f"{bucket}/d")
    assert keys(haul, bucket) == ["a", "dd", "k1", "k2"]
    done = haul.ok("rm", f"{bucket}/k1", f"{bucket}/k2", f"{bucket}/absent", "--json")
    assert sorted(event["source"] for event in done.events) == [
        f"{bucket}/{key}" for key in ("absent", "k1", "k2")
    ]
    haul.ok("rm", "-r", f"{bucket}/", "--exclude", "a")
    assert keys(haul, bucket) == ["a"]


def test_an_absent_key_is_no_failure(haul: Program, bucket: str) -> None:
    haul.ok("rm", f"{bucket}/absent")


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        ("rm {b}/d/", 2, "d/ is a directory or prefix", "-r"),
        ("rm {b}", 2, "whole bucket", "-r"),
        ("rm -r {b}/nothing/", 4, "nothing under", ""),
        ("rm {b}/no*thing", 4, "nothing matches", "--raw"),
        ("rm local", 2, "local path", "s3://"),
        ("rm s3://no-such-bucket-here/k", 4, "NoSuchBucket", "haul mb"),
        ("rm -r s3://no-such-bucket-here/", 4, "NoSuchBucket", "haul mb"),
        ("rm {b}/k --version-id v --all-versions", 2, "exclude each other", "one"),
        ("rm", 2, "required: URL", "--help"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    prepared: tuple[Program, str], words: str, code: int, message: str, hint: str
) -> None:
    haul, bucket = prepared
    says(haul(*words.format(b=bucket).split()), code, message, hint)


def test_one_argument_of_several_that_selects_nothing(haul: Program, bucket: str) -> None:
    fill(haul, bucket, "a", "b")
    done = haul("rm", f"{bucket}/a", f"{bucket}/no*thing", f"{bucket}/b")
    assert (done.code, keys(haul, bucket)) == (1, [])
    assert done.err.splitlines()[0].startswith("haul rm: nothing matches")


def test_the_store_of_the_source_flags_is_not_touched(haul: Program, bucket: str) -> None:
    fill(haul, bucket, "a")
    haul.ok("rm", f"{bucket}/a", "--json")
    # Where the environment names another source for migrations, rm still means the one endpoint there is.
    done = haul("rm", f"{bucket}/a", HAUL_SOURCE_ENDPOINT_URL="http://127.0.0.1:1")
    assert done.code == 0, done.err


def test_many_arguments_are_few_requests(haul: Program, bucket: str) -> None:
    names = [f"n{number}" for number in range(250)]
    fill(haul, bucket, *names)
    done = haul.ok("rm", *(f"{bucket}/{name}" for name in names), "--log-level", "debug")
    assert done.err.count("debug: DeleteObjects ") == 1
    assert keys(haul, bucket) == []


def test_versions_and_markers_are_removed_with_all_versions(
    haul: Program, bucket: str, request: pytest.FixtureRequest
) -> None:
    import boto3

    s3 = boto3.client(
        "s3",
        endpoint_url=haul.environ["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id=haul.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=haul.environ["AWS_SECRET_ACCESS_KEY"],
    )
    request.addfinalizer(s3.close)
    name = bucket.removeprefix("s3://")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"1", b"2"):
        haul.ok("put", "-", f"{bucket}/k", stdin=content)
    haul.ok("rm", f"{bucket}/k")
    assert keys(haul, bucket) == []
    removed = haul.ok("rm", f"{bucket}/k", "--all-versions", "--json").events
    assert len({event["version_id"] for event in removed}) == 3
    answer = s3.list_object_versions(Bucket=name)
    assert not answer.get("Versions")
    assert not answer.get("DeleteMarkers")
