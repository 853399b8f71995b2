"""The examples in the docstrings of both faces do what they show."""

from __future__ import annotations

import ast
import doctest
import inspect
import io
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient, Client

if TYPE_CHECKING:
    from tests.conftest import Server

pytestmark = pytest.mark.anyio

#: Without an example: what it shows would be what the sentence says.
PLAIN = {"close", "get_tags", "get_acl", "set_acl", "restore"}
METHODS = {
    name: method
    for name, method in inspect.getmembers(AsyncClient, inspect.isfunction)
    if not name.startswith("_")
}


def examples_of(documented: object) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(inspect.getdoc(documented) or "")


async def check(examples: list[doctest.Example], names: dict[str, Any]) -> None:
    for example in examples:
        out = io.StringIO()
        code = compile(example.source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with redirect_stdout(out):
            result = eval(code, names)  # noqa: S307 -- our own documentation
            if inspect.iscoroutine(result):
                await result
        flags = doctest.ELLIPSIS
        assert doctest.OutputChecker().check_output(example.want, out.getvalue(), flags), (
            f"{example.source}gave {out.getvalue()!r}, not {example.want!r}"
        )


@pytest.fixture
def filled(demo: Client) -> None:
    """What the examples work on."""
    contents = {
        "hello.txt": b"hello, world",
        "logs/2024/a.log": b"",
        "logs/2025/b.log": b"",
        "report/summary.csv": b"a,b\n1,2\n",
        "report/text.md": b"# What was measured\n...",
    }
    for key, content in contents.items():
        demo.put(f"s3://demo/{key}", content)
        if key.startswith("report/"):
            Path(key).parent.mkdir(exist_ok=True)
            Path(key).write_bytes(content)
            os.utime(key, (0, 0))  # older than the upload


def test_every_method_but_the_plainest_has_an_example() -> None:
    assert {name for name, method in METHODS.items() if not examples_of(method)} == PLAIN


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", sorted(METHODS.keys() - PLAIN))
async def test_a_method(name: str) -> None:
    async with AsyncClient() as client:
        if name == "remove_bucket":
            await client.make_bucket("s3://fresh")
        await check(examples_of(METHODS[name]), {"client": client})
        if name == "make_bucket":
            await client.remove_bucket("s3://fresh")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("face", [AsyncClient, Client])
async def test_a_face(face: type, server: Server) -> None:
    examples = examples_of(face)
    assert examples
    for example in examples:
        example.source = example.source.replace("http://127.0.0.1:8333", server.endpoint_url)
    await check(examples, {face.__name__: face})


@pytest.mark.usefixtures("filled")
async def test_the_files_of_the_blocking_face() -> None:
    with Client() as client:
        await check(examples_of(Client.open), {"client": client})
