"""A tenant reaches nothing outside its prefix, by any method, whatever it calls its paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haulyard.errors import HaulError, UnsafeName
from haulyard.fs import NewNode, S3Provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fs.provider.conftest import Config, Open

    from haulyard.testing.faults import FaultServer, RecordedRequest

pytestmark = pytest.mark.anyio

#: What a tenant could hope to reach its neighbour's file by.
ESCAPES = (
    "../8/secret",
    "a/../../8/secret",
    "/../8/secret",
    "..",
    "../",
    "./../8/secret",
    "a/..//../8/secret",
    "..\0",
    "\0../8/secret",
)
#: And what is only a strange name in its own place.
STRANGE = (
    "..%2f8/secret",
    "%2e%2e/8/secret",
    "..\\8\\secret",
    "/tenants/8/secret",
    "s3://bucket/tenants/8/secret",
)
OUTSIDE = {"tenants/8/secret": b"8", "tenants/77/x": b"77", "tenants/7": b"beside", "secret": b"top"}


async def empty() -> AsyncIterator[bytes]:
    yield b"x"


def calls(provider: S3Provider, path: str) -> list[Any]:
    """Return a call of every method that takes a path."""
    return [
        lambda: provider.read_file(path),
        lambda: _all(provider.stream_read(path)),
        lambda: provider.read_version(path, "null"),
        lambda: provider.calculate_checksum(path),
        lambda: provider.write_file(path, b"x"),
        lambda: provider.stream_write(path, empty()),
        lambda: provider.update(path, lambda old: old + b"x"),
        lambda: provider.get_node_info(path),
        lambda: provider.exists(path),
        lambda: provider.list_directory(path),
        lambda: _all(provider.scan(path)),
        lambda: provider.create_node(NewNode(path)),
        lambda: provider.create_node(NewNode(path, is_dir=True)),
        lambda: provider.copy_node(path, "copy"),
        lambda: provider.copy_node("mine", path),
        lambda: provider.move_node(path, "moved"),
        lambda: provider.move_node("mine", path),
        lambda: provider.get_metadata(path),
        lambda: provider.set_metadata(path, {"a": "b"}),
        lambda: provider.get_object_tags(path),
        lambda: provider.set_object_tags(path, {"a": "b"}),
        lambda: provider.get_acl(path),
        lambda: provider.set_acl(path, "private"),
        lambda: provider.list_versions(path),
        lambda: provider.restore_version(path, "null"),
        lambda: provider.generate_presigned_url(path),
        lambda: provider.generate_presigned_upload_url(path),
        lambda: provider.generate_presigned_post(path),
        lambda: _first(provider.batch_read([path])),
        lambda: _first(provider.batch_write([(path, b"x")])),
        lambda: _first(provider.batch_create([NewNode(path)])),
        lambda: _first(provider.batch_delete([path])),
        lambda: provider.delete_node(path, recursive=True),
    ]


async def _all(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def _first(batch: Any) -> Any:
    (outcome,) = await batch
    return outcome.unwrap()


def places(request: RecordedRequest) -> list[str]:
    """Return every key and prefix that a request names."""
    source = unquote(request.headers.get("x-amz-copy-source", "")).partition("?")[0].lstrip("/")
    named = [request.key, request.parameters.get("prefix", ""), source.removeprefix("bucket/")]
    body = request.body.decode()
    named += [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]] if "<Delete" in body else []
    return [place for place in named if place]


@pytest.mark.parametrize("path", ESCAPES)
async def test_no_method_takes_a_path_that_leads_out(
    scripted: S3Provider, faults: FaultServer, path: str
) -> None:
    await scripted.write_file("mine", b"x")
    seen = len(faults.requests)
    for call in calls(scripted, path):
        with pytest.raises(UnsafeName):
            await call()
    assert faults.requests[seen:] == ()


@pytest.mark.parametrize("path", STRANGE)
async def test_strange_names_lie_in_the_tenants_own_place(
    scripted: S3Provider, faults: FaultServer, path: str
) -> None:
    for key, content in OUTSIDE.items():
        faults.objects["bucket", key] = content
    await scripted.write_file("mine", b"x")
    for call in calls(scripted, path):
        try:
            found = await call()
        except HaulError:
            continue
        if hasattr(found, "url"):
            where = getattr(found, "fields", {}).get("key", "") or unquote(urlsplit(found.url).path)
            assert "tenants/7/" in where
        assert b"8" not in (found if isinstance(found, bytes) else b"")
    for request in faults.requests:
        assert all(place.startswith("tenants/7/") for place in places(request)), request
    assert {key: faults.objects["bucket", key] for key in OUTSIDE} == OUTSIDE


async def test_listings_show_nothing_of_the_neighbours(scripted: S3Provider, faults: FaultServer) -> None:
    for key, content in OUTSIDE.items():
        faults.objects["bucket", key] = content
    assert await scripted.list_directory() == []
    assert await _all(scripted.scan()) == []
    assert (await scripted.get_storage_stats()).files == 0


async def test_what_is_proved_of_an_endpoint_is_proved_below_the_prefix(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await scripted.write_file("lock", b"", if_absent=True)
    written = {each.key for each in faults.requests if each.method in {"PUT", "DELETE"} and each.key}
    assert len(written) > 3
    assert all(key.startswith("tenants/7/") for key in written)


async def test_a_directory_move_stays_within_the_prefix(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults())
    for key, content in OUTSIDE.items():
        faults.objects["bucket", key] = content
    await provider.write_file("a/1", b"x")
    await provider.move_node("a", "b")
    for request in faults.requests:
        assert all(place.startswith("tenants/7/") for place in places(request)), request


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text("./a%\\\0é:?#", max_size=10))
async def test_whatever_the_path_only_own_keys_are_asked_for(
    scripted: S3Provider, faults: FaultServer, path: str
) -> None:
    seen = len(faults.requests)
    for call in (scripted.write_file(path, b"x"), scripted.read_file(path), scripted.exists(path)):
        try:
            await call
        except HaulError:
            continue
    for request in faults.requests[seen:]:
        assert all(place.startswith("tenants/7/") for place in places(request))
