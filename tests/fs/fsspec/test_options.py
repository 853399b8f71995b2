"""Options: ours, those of s3fs, and what tells instances apart."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
from typing import Any

import fsspec
import pytest
from fsspec.core import get_fs_token_paths, url_to_fs

import haulyard.fs
from haulyard.fs import HaulFileSystem
from haulyard.fs.fsspec.registering import HaulS3FileSystem
from haulyard.testing.faults import FaultServer

KEY = base64.b64encode(bytes(range(32))).decode()


def test_the_protocol_is_known_without_an_import_of_ours() -> None:
    assert fsspec.get_filesystem_class("haul") is HaulFileSystem
    fs, path = url_to_fs("haul://bucket/some/key", anon=True)
    assert isinstance(fs, HaulFileSystem)
    assert path == "bucket/some/key"
    assert fs.unstrip_protocol(path) == "haul://bucket/some/key"


def test_s3_urls_lead_here_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = sys.modules["fsspec.registry"]
    known = dict(registry._registry)
    assert not issubclass(known.get("s3", object), HaulFileSystem)
    monkeypatch.setattr(registry, "_registry", known)
    monkeypatch.setattr(registry, "registry", known)
    haulyard.fs.register_s3()
    fs, path = url_to_fs("s3://bucket/key", anon=True)
    assert isinstance(fs, HaulS3FileSystem)
    assert fs.unstrip_protocol(path) == "s3://bucket/key"
    assert type(pickle.loads(pickle.dumps(fs))) is HaulS3FileSystem  # noqa: S301 -- its own


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("haul://b/k/x", ("b", "k/x", None)),
        ("s3://b/k", ("b", "k", None)),
        ("/b/k", ("b", "k", None)),
        ("b", ("b", "", None)),
        ("b/d/", ("b", "d/", None)),
        ("b//k", ("b", "/k", None)),
        ("b/k?x=1#y", ("b", "k?x=1#y", None)),
        ("b/k?versionId=v", ("b", "k?versionId=v", None)),
        (
            "haul://arn:aws:s3:eu-west-1:123456789012:accesspoint/point/k/x",
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/point", "k/x", None),
        ),
    ],
)
def test_paths_are_buckets_and_keys(path: str, expected: tuple[str, str, None]) -> None:
    assert HaulFileSystem(anon=True).split_path(path) == expected


def test_versions_in_paths_are_for_those_who_ask_for_them() -> None:
    fs = HaulFileSystem(anon=True, version_aware=True)
    assert fs.split_path("b/k?versionId=v") == ("b", "k", "v")
    aware, _, (path,) = get_fs_token_paths("haul://b/k?versionId=v", storage_options={"anon": True})
    assert aware.version_aware
    assert aware.split_path(path) == ("b", "k", "v")


def test_options_of_s3fs_are_understood() -> None:
    fs = HaulFileSystem(
        client_kwargs={
            "endpoint_url": "http://127.0.0.1:9",
            "region_name": "eu-central-1",
            "aws_access_key_id": "k",
            "aws_secret_access_key": "s",
        },
        s3_additional_kwargs={"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "id", "StorageClass": "X"},
        requester_pays=True,
    )
    settings = fs._given.settings
    assert (settings.endpoint_url, settings.region) == ("http://127.0.0.1:9", "eu-central-1")
    assert fs._given.keys == ("k", "s", "")
    assert settings.request_payer == "requester"
    put = fs._put_options({}, "key.csv")
    assert put.encryption is not None
    assert (put.encryption.mode, put.encryption.kms_key_id) == ("aws:kms", "id")
    assert (put.storage_class, put.content_type) == ("X", "text/csv")
    assert fs._put_options({"ContentType": "a/b"}, "key.csv").content_type == "a/b"


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"nonsense": 1}, TypeError, "nonsense"),
        ({"client_kwargs": {"api_version": 1}}, TypeError, "api_version"),
        ({"s3_additional_kwargs": {"What": 1}}, TypeError, "What"),
        ({"key": "k"}, ValueError, "belong together"),
        ({"key": "k", "secret": "s", "anon": True}, ValueError, "no_sign_request"),
        ({"concurrency": 0}, ValueError, "concurrency"),
        ({"sse_customer_key": "short"}, ValueError, "sse_customer_key"),
        ({"sse_customer_key": KEY, "sse": "AES256"}, ValueError, "no other encryption"),
        ({"metadata": {"a": 1}}, ValueError, "metadata"),
        ({"metadata": {"Haul-Token": "x"}}, ValueError, "Haulyard's own"),
    ],
)
def test_what_is_not_understood_is_refused(given: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        HaulFileSystem(**given)


def test_a_call_that_gives_what_nothing_understands_is_refused(fs: HaulFileSystem, place: str) -> None:
    with pytest.raises(TypeError, match="colour"):
        fs.pipe_file(f"{place}/a", b"1", colour="red")
    with pytest.raises(ValueError, match="mode"):
        fs.pipe_file(f"{place}/a", b"1", mode="append")
    with pytest.raises(ValueError, match="Haulyard's own"):
        fs.pipe_file(f"{place}/a", b"1", metadata={"haul-token": "x"})
    assert not fs.exists(f"{place}/a")


def test_instances_of_other_keys_are_others() -> None:
    assert HaulFileSystem(anon=True) is HaulFileSystem(anon=True)
    other = base64.b64encode(bytes(32)).decode()
    assert HaulFileSystem(sse_customer_key=KEY) is not HaulFileSystem(sse_customer_key=other)
    assert HaulFileSystem(sse_customer_key=KEY) != HaulFileSystem(sse_customer_key=other)


def test_nothing_shows_a_secret() -> None:
    fs = HaulFileSystem(key="k", secret="very-secret", sse_customer_key=KEY)
    assert "very-secret" not in repr(fs) + str(fs)
    assert KEY not in repr(fs) + repr(fs._given.written.get("other"))


def test_a_customer_key_goes_with_every_read_and_write() -> None:
    with FaultServer(buckets=["b"]) as server:
        fs = HaulFileSystem(
            endpoint_url=server.url, key="k", secret="s", sse_customer_key=KEY, skip_instance_cache=True
        )
        fs.pipe_file("b/k", b"0123456789")
        fs.cat_file("b/k", 1, 3)
        fs.info("b/k", refresh=True)
        with fs.open("b/k") as file:
            file.read()
        fs.cp_file("b/k", "b/l")
        for request in server.requests:
            assert "x-amz-server-side-encryption-customer-key" in request.headers, request.operation


def test_other_processes_use_a_pickled_filesystem(fs: HaulFileSystem, place: str) -> None:
    fs.pipe_file(f"{place}/a", b"1")
    read = (
        "import pickle, sys; fs, path = pickle.load(sys.stdin.buffer);"
        "sys.stdout.buffer.write(fs.cat_file(path))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", read],
        input=pickle.dumps((fs, f"{place}/a")),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert answer.stdout == b"1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_is_told_what_to_do(fs: HaulFileSystem, place: str, options: dict[str, Any]) -> None:
    fs.pipe_file(f"{place}/a", b"1")
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        told = "nothing was raised"
        try:
            HaulFileSystem(**options).cat_file(f"{place}/a")
        except RuntimeError as error:
            told = str(error)
        os.write(writing, told.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    told = os.read(reading, 10_000).decode()
    os.close(reading)
    os.close(writing)
    assert "forked" in told
    assert "spawn" in told


def test_a_closed_filesystem_opens_itself_again(fs: HaulFileSystem, place: str) -> None:
    fs.pipe_file(f"{place}/a", b"1")
    fs.close()
    assert fs.cat_file(f"{place}/a") == b"1"
