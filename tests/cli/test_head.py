"""`haul head`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.models import PutOptions

if TYPE_CHECKING:
    from tests.cli.conftest import Box


def described(haul: Box) -> None:
    store = haul.bucket({})
    options = PutOptions(content_type="text/x", metadata={"colour": "blue"}, tags={"team": "a b"})
    haul.put(store, "k", b"x" * 2000, options)


def test_everything_known_is_shown_a_line_each(haul: Box) -> None:
    described(haul)
    result = haul("head", "s3://b/k")
    shown = dict(line.split("  ", 1) for line in result.out.splitlines())
    shown = {name: value.strip() for name, value in shown.items()}
    assert result.code == 0
    assert shown["size"] == "2000 (2.0 KiB)"
    assert shown["content_type"] == "text/x"
    assert shown["metadata colour"] == "blue"
    assert shown["tags"] == "1 (--tags shows them)"


def test_tags_and_acl_on_request(haul: Box) -> None:
    described(haul)
    result = haul("head", "--tags", "--show-acl", "s3://b/k")
    assert "tag team" in result.out
    assert "grant FULL_CONTROL" in result.out


def test_json_holds_the_same(haul: Box) -> None:
    described(haul)
    (event,) = haul("head", "--json", "--tags", "--show-acl", "s3://b/k").events
    assert event["event"] == "object"
    assert event["url"] == "s3://b/k"
    assert event["metadata"] == {"colour": "blue"}
    assert event["tags"] == {"team": "a b"}
    assert event["acl"]["grants"][0]["permission"] == "FULL_CONTROL"
    assert "headers" not in event


def test_of_several_objects_those_that_fail_are_named_and_the_others_shown(haul: Box) -> None:
    described(haul)
    result = haul("head", "s3://b/nope", "s3://b/k", "--json")
    assert (result.code, [event["url"] for event in result.events]) == (1, ["s3://b/k"])
    assert "nope" in result.err
    assert haul("head", "s3://b/nope", "s3://b/nor-this").code == 4


def test_json_leaves_out_what_is_empty(haul: Box) -> None:
    described(haul)
    (event,) = haul("head", "--json", "s3://b/k").events
    assert all(value or value == 0 for value in event.values())


def test_a_missing_object_and_a_bucket_are_no_objects(haul: Box) -> None:
    described(haul)
    assert haul("head", "s3://b/nope").code == 4
    bucket = haul("head", "s3://b")
    assert bucket.code == 2
    assert "names a bucket" in bucket.err
