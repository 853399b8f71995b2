"""What programs that come from s3fs bring along: its options and botocore's, and keywords of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore
import pytest

from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTTP = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(buckets=["b"]) as server:
        yield server


def opened(server: FaultServer, **options: Any) -> HaulFileSystem:
    return HaulFileSystem(
        endpoint_url=server.url, key="k", secret="s", region="us-east-1", skip_instance_cache=True, **options
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"client_kwargs": {"verify": False}}, {"verify_ssl": False}),
        ({"client_kwargs": {"verify": "/ca.pem"}}, {"ca_bundle": "/ca.pem"}),
        ({"client_kwargs": {"endpoint_url": HTTP, "use_ssl": False}}, {"endpoint_url": HTTP}),
        ({"endpoint_url": HTTP, "use_ssl": False}, {"endpoint_url": HTTP}),
        ({"use_ssl": True}, {"endpoint_url": ""}),
        ({"config_kwargs": {"signature_version": "s3v4"}}, {"no_sign_request": False}),
        ({"config_kwargs": {"signature_version": botocore.UNSIGNED}}, {"no_sign_request": True}),
        ({"config_kwargs": {"s3": {"addressing_style": "path"}}}, {"addressing": "path"}),
        ({"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}}, {"accelerate": True}),
        ({"config_kwargs": {"max_pool_connections": 7}}, {"concurrency": 7}),
        ({"config_kwargs": {"retries": {"max_attempts": 4, "mode": "adaptive"}}}, {"retries": 5}),
        ({"config_kwargs": {"retries": {"total_max_attempts": 4}}}, {"retries": 4}),
        ({"s3_additional_kwargs": {"RequestPayer": "requester"}}, {"request_payer": "requester"}),
        ({"s3_additional_kwargs": {"ChecksumAlgorithm": "SHA256"}}, {"checksum_algorithm": "SHA256"}),
        ({"default_fill_cache": False, "cache_regions": True}, {"region": ""}),
    ],
)
def test_settings_by_the_names_of_s3fs_are_understood(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    settings = HaulFileSystem(**given)._given.settings
    assert {name: getattr(settings, name) for name in expected} == expected


def test_keys_by_their_older_names_are_understood() -> None:
    assert HaulFileSystem(username="k", password="s")._given.keys == ("k", "s", "")
    both = HaulFileSystem(username="k", password="s", client_kwargs={"aws_access_key_id": "c"})
    assert both._given.keys == ("c", "s", "")


def test_properties_by_all_names_of_boto3_are_understood() -> None:
    fs = HaulFileSystem(
        s3_additional_kwargs={
            "ServerSideEncryption": "aws:kms",
            "BucketKeyEnabled": True,
            "Tagging": "team=data&empty=",
            "GrantRead": "id=1",
        }
    )
    put = fs._put_options({}, "key")
    assert put.encryption is not None
    assert (put.encryption.mode, put.encryption.bucket_key) == ("aws:kms", True)
    assert (put.tags, put.grants) == ({"team": "data", "empty": ""}, {"read": "id=1"})


@pytest.mark.parametrize("key", [b"k" * 32, "k" * 32], ids=["bytes", "text"])
def test_a_customer_key_is_given_as_to_boto3(key: bytes | str) -> None:
    fs = HaulFileSystem(s3_additional_kwargs={"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key})
    put = fs._put_options({}, "key")
    assert put.encryption is not None
    assert put.encryption.customer_key is not None
    assert put.encryption.customer_key.reveal() == b"k" * 32


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"config_kwargs": {"read_timeout": 5}}, TypeError, "read_timeout"),
        ({"config_kwargs": {"s3": {"payload": 1}}}, TypeError, "payload"),
        ({"config_kwargs": {"retries": {"what": 1}}}, TypeError, "what"),
        ({"config_kwargs": {"signature_version": "s3"}}, ValueError, "s3v4"),
        ({"use_ssl": False, "endpoint_url": "https://store.example"}, ValueError, "http://"),
        ({"use_ssl": False}, ValueError, "http://"),
        ({"max_concurrency": 0}, ValueError, "max_concurrency"),
        ({"s3_additional_kwargs": {"SSECustomerAlgorithm": "DES"}}, ValueError, "AES256"),
        ({"s3_additional_kwargs": {"BucketKeyEnabled": True}}, ValueError, "KMS"),
        (
            {"s3_additional_kwargs": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": 1}},
            ValueError,
            "True",
        ),
        ({"session": object()}, TypeError, "session"),
    ],
)
def test_what_is_not_possible_here_is_refused(
    given: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        HaulFileSystem(**given)


def test_files_go_up_in_parts_of_the_size_that_the_call_names(server: FaultServer, tmp_path: Path) -> None:
    fs = opened(server)
    size = 17 * 1024**2
    (tmp_path / "file").write_bytes(bytes(size))
    fs.put_file(tmp_path / "file", "b/put", chunksize=6 * 1024**2, max_concurrency=2)
    fs.pipe_file("b/piped", bytes(size), chunksize=6 * 1024**2)
    for key in ("put", "piped"):
        parts = [each for each in server.requests if each.operation == "UploadPart" and each.key == key]
        assert len(parts) == 3
        assert fs.info(f"b/{key}")["size"] == size
    fs.get_file("b/put", tmp_path / "back", max_concurrency=2)
    assert (tmp_path / "back").stat().st_size == size
    for call in (fs.put_file, fs.get_file):
        with pytest.raises(ValueError, match="max_concurrency"):
            call(
                *((tmp_path / "file", "b/x") if call == fs.put_file else ("b/put", tmp_path / "x")),
                max_concurrency=0,
            )


def test_parts_have_one_size_on_request(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulyard.transfer.unseekable._GROW_AFTER", 1)
    size = 5 * 1024**2
    for key, given in (("fixed", {"fixed_upload_size": True}), ("growing", {})):
        with opened(server, part_size=size, **given).open(f"b/{key}", "wb") as file:
            file.write(bytes(3 * size))
    sizes = {
        key: sorted(
            each.body_length for each in server.requests if each.operation == "UploadPart" and each.key == key
        )
        for key in ("fixed", "growing")
    }
    assert sizes == {"fixed": [size] * 3, "growing": [size, 2 * size]}


def test_parts_under_way_are_as_many_as_the_filesystem_was_given() -> None:
    assert HaulFileSystem(max_concurrency=3)._transfer_options().part_concurrency == 3
    assert HaulFileSystem(max_concurrency=3)._transfer_options(max_concurrency=2).part_concurrency == 2
    assert HaulFileSystem()._transfer_options().part_concurrency == 8


def test_an_open_file_takes_what_only_tunes_the_cache_of_s3fs(server: FaultServer) -> None:
    fs = opened(server)
    fs.pipe_file("b/k", b"1")
    with fs.open("b/k", fill_cache=False, anon=True, default_cache_type="first") as file:
        assert file.read() == b"1"
    with pytest.raises(TypeError, match="only for writing"):
        fs.open("b/k", storage_class="X")


@pytest.mark.parametrize("call", ["open", "cat_file", "info", "split_path"])
def test_a_kind_of_arn_that_is_not_supported_is_a_wrong_value(call: str) -> None:
    fs = HaulFileSystem(anon=True)
    with pytest.raises(ValueError, match="s3-outposts"):
        getattr(fs, call)("arn:aws:s3-outposts:eu-west-1:123456789012:outpost/o/bucket/b/key")


@pytest.mark.parametrize("seen", ["nothing", "object", "listing", "tree"])
def test_a_path_may_be_an_object_and_a_directory(server: FaultServer, seen: str) -> None:
    fs = opened(server)
    fs.pipe({"b/d/both": b"1", "b/d/both/inner": b"2", "b/d/file": b"3"})
    if seen == "object":
        fs.info("b/d/both")
        fs.info("b/d/file")
    elif seen == "listing":
        fs.ls("b/d")
    elif seen == "tree":
        fs.find("b")
    before = len(server.requests)
    assert (fs.isdir("b/d/both"), fs.isfile("b/d/both")) == (True, True)
    assert (fs.isdir("b/d/file"), fs.isfile("b/d/file")) == (False, True)
    if seen in {"listing", "tree"}:
        assert len(server.requests) == before
