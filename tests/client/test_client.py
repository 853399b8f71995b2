"""The blocking face: the same calls, through the portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard import Client, CommonPrefix, ConfigError, HaulError, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

from tests.client.conftest import read_tree


def test_objects(blocking: Client, bucket: str) -> None:
    result = blocking.put(bucket + "key", b"hello, world", tags={"a": "b"})
    assert blocking.get(bucket + "key", range=(0, 5)) == b"hello"
    assert blocking.head(bucket + "key").etag == result.etag
    assert blocking.exists(bucket + "key")
    assert blocking.get_tags(bucket + "key") == {"a": "b"}
    blocking.set_tags(bucket + "key", {})
    assert blocking.get_tags(bucket + "key") == {}
    blocking.set_acl(bucket + "key", "private")
    assert blocking.get_acl(bucket + "key").grants
    assert blocking.delete(bucket + "key").error is None
    with pytest.raises(NotFound):
        blocking.get(bucket + "key")
    assert [outcome.key for outcome in blocking.delete_many([bucket + "a", bucket + "b"])] == ["a", "b"]


def test_listings(blocking: Client, bucket: str) -> None:
    for key in ("a/1", "a/2", "top"):
        blocking.put(bucket + key, b"")
    assert sorted(info.key for info in blocking.list(bucket)) == ["a/1", "a/2", "top"]
    assert next(iter(blocking.list(bucket, delimiter="/"))) == CommonPrefix("a/")
    assert bucket[5:-1] in [each.name for each in blocking.buckets()]
    with pytest.raises(NotFound):
        next(blocking.list("s3://no-such-bucket-here"))


def test_buckets(blocking: Client, bucket: str) -> None:
    assert {probe.outcome for probe in blocking.check_access(bucket)} == {"ok", "unknown"}
    assert blocking.presign(bucket + "key").url.startswith("http")
    assert blocking.presign_post(bucket + "key").fields["key"] == "key"
    blocking.remove_bucket(bucket)
    blocking.make_bucket(bucket)
    assert list(blocking.list_versions(bucket)) == []


def test_transfers(blocking: Client, bucket: str, tree: Path, tmp_path: Path) -> None:
    before = read_tree(tree)
    assert blocking.upload(tree, bucket + "in", recursive=True).done == 4
    assert blocking.sync(tree, bucket + "in").skipped == 4
    assert blocking.copy(bucket + "in/", bucket + "copy/", recursive=True).done == 4
    assert blocking.move(bucket + "copy/", bucket + "moved/", recursive=True).done == 4
    assert blocking.download(bucket + "moved/", tmp_path / "out", recursive=True).done == 4
    assert read_tree(tmp_path / "out") == before
    assert blocking.delete_tree(bucket).deleted == 8


def test_archives(moto: Server, tmp_path: Path) -> None:
    with Client(endpoint_url=moto.endpoint_url, access_key="a", secret_key="b", region="us-east-1") as client:
        client.make_bucket("s3://frozen")
        client.put("s3://frozen/key", b"x", storage_class="GLACIER")
        assert client.restore("s3://frozen/key")


def test_mistakes_are_told_before_anything_is_done(blocking: Client) -> None:
    with pytest.raises(ConfigError):
        blocking.get("a/path")
    with pytest.raises(ConfigError):
        Client(concurrency=0)
    blocking.close()
    blocking.close()
    with pytest.raises(HaulError, match="is closed"):
        blocking.get("s3://bucket/key")
    assert blocking.settings.endpoint_url
