"""URLs and forms for others: they work, for one file, and for nothing outside the prefix."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import requests

from haulyard.errors import ConfigError, UnsafeName, Unsupported
from haulyard.fs import ClientSideEncryption
from haulyard.models import Encryption, Secret

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio


async def test_a_url_reads_one_file(provider: S3Provider) -> None:
    await provider.write_file("a b/ü.txt", b"shared")
    signed = await provider.generate_presigned_url("a b/ü.txt", expires_in=timedelta(minutes=5))
    assert unquote(urlsplit(signed.url).path).endswith("/tenants/7/a b/ü.txt")
    assert (await asyncio.to_thread(requests.get, signed.url, timeout=10)).content == b"shared"
    head = await provider.generate_presigned_url("a b/ü.txt", operation="HEAD")
    assert (await asyncio.to_thread(requests.head, head.url, timeout=10)).status_code == 200
    gone = await provider.generate_presigned_url("a b/ü.txt", operation="DELETE")
    assert (await asyncio.to_thread(requests.delete, gone.url, timeout=10)).status_code == 204
    provider.refresh()
    assert not await provider.exists("a b/ü.txt")


async def test_a_url_writes_one_file_with_what_it_is_to_have(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(metadata={"by": "config"}))
    signed = await provider.generate_presigned_upload_url("up.csv", metadata={"also": "call"})
    answer = await asyncio.to_thread(
        requests.put, signed.url, data=b"a,b", headers=dict(signed.headers), timeout=10
    )
    assert answer.status_code == 200
    node = await provider.get_node_info("up.csv")
    assert (node.content_type, node.metadata) == ("text/csv", {"by": "config", "also": "call"})


async def test_a_form_uploads_one_file_of_a_bounded_size(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(max_file_size=10))
    form = await provider.generate_presigned_post("up.txt")
    for content, is_let_in in ((b"short", True), (b"much too long", False)):
        answer = await asyncio.to_thread(
            requests.post, form.url, data=dict(form.fields), files={"file": content}, timeout=10
        )
        assert answer.ok == is_let_in
    assert await provider.read_file("up.txt") == b"short"


async def test_a_form_is_for_no_name_that_the_browser_chooses(scripted: S3Provider) -> None:
    with pytest.raises(ConfigError, match="filename"):
        await scripted.generate_presigned_post("up/${filename}")
    with pytest.raises(UnsafeName):
        await scripted.generate_presigned_post("up/")


async def test_what_is_encrypted_is_not_shared(on_faults: Config, opened: Open) -> None:
    key = Secret(b"k" * 32)
    sealed = opened(on_faults(client_side_encryption=ClientSideEncryption(wrapping_key=key)))
    closed = opened(on_faults(encryption=Encryption("SSE-C", customer_key=key)))
    for provider, error in ((sealed, Unsupported), (closed, ConfigError)):
        for call in (
            provider.generate_presigned_url,
            provider.generate_presigned_upload_url,
            provider.generate_presigned_post,
        ):
            with pytest.raises(error):
                await call("a")
        assert (await provider.generate_presigned_url("a", operation="DELETE")).method == "DELETE"


async def test_what_makes_no_sense_is_refused(scripted: S3Provider) -> None:
    with pytest.raises(ConfigError):
        await scripted.generate_presigned_url("a", operation="PUT")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError):
        await scripted.generate_presigned_url("a", expires_in=8 * 24 * 3600)
