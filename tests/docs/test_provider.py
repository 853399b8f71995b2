"""The page about the filesystem names all that there is, and the examples do what they show."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING

import pytest
from tests.docs import pages
from tests.docs.test_docstrings import check, examples_of

from haulyard.fs import NewNode, S3Provider, S3ProviderConfig, SyncS3Provider

if TYPE_CHECKING:
    from haulyard import Client

pytestmark = pytest.mark.anyio

PAGE = (pages.DOCS / "provider.md").read_text(encoding="utf-8")
METHODS = {name: method for name, method in inspect.getmembers(S3Provider) if not name.startswith("_")}
WITH_EXAMPLE = sorted(name for name, method in METHODS.items() if examples_of(method))
#: Their examples need what is not here: a response to write to, a bucket with versions.
SKETCHES = {"stream_read", "list_versions"}


def words(heading: str) -> set[str]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    return set(re.findall(r"`(\w+)`", rows))


def test_every_method_is_named_and_no_other() -> None:
    assert words("Methods") == METHODS.keys()


def test_every_setting_is_named_and_no_other() -> None:
    fields = {field.name for field in dataclasses.fields(S3ProviderConfig)}
    assert words("Settings") - {"AsyncClient"} == fields
    described = (inspect.getdoc(S3ProviderConfig) or "").partition("Args:")[2].partition("Raises:")[0]
    assert set(re.findall(r"^    (\w+): ", described, re.MULTILINE)) == fields


@pytest.mark.parametrize("name", [name for name in WITH_EXAMPLE if name not in SKETCHES])
async def test_a_method(name: str, demo: Client) -> None:
    demo.put("s3://demo/notes/today.txt", b"hello, world")
    if name == "list_directory":
        demo.put("s3://demo/notes/archive/old.txt", b"")
    async with S3Provider(S3ProviderConfig("demo")) as provider:
        await provider.write_file("a", b"x")
        await check(examples_of(METHODS[name]), {"provider": provider, "NewNode": NewNode})


@pytest.mark.parametrize("face", [S3Provider, SyncS3Provider])
async def test_a_face(face: type, demo: Client) -> None:
    examples = examples_of(face)
    assert examples
    for example in examples:
        endpoint = demo.settings.endpoint_url
        example.source = example.source.replace("http://127.0.0.1:8333", endpoint)
    await check(
        examples,
        {"S3Provider": S3Provider, "SyncS3Provider": SyncS3Provider, "S3ProviderConfig": S3ProviderConfig},
    )
