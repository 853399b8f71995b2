"""The ends of a job, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.jobs.applying.lab import Lab, store_of

from haulyard.errors import ConfigError, NotFound
from haulyard.jobs.ends import Ends, open_ends
from haulyard.jobs.model import Verb
from haulyard.jobs.specification import Specification
from haulyard.stores.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def ends_of(path: Path, verb: Verb, source: str, destination: str = "") -> Ends:
    lab = Lab(str(path), {"b": store_of({}, "b"), "c": store_of({}, "c")})
    connection = lab.around().connection
    return await open_ends(Specification(verb, source, destination), connection, connection, may_write=False)


async def test_two_buckets_are_two_stores(tmp_path: Path) -> None:
    ends = await ends_of(tmp_path, Verb.COPY, "s3://b/in/", "s3://c/deep/out/")
    assert (ends.source.bucket, ends.destination.bucket, ends.base) == ("b", "c", "deep/out/")
    assert not ends.is_one_store


@pytest.mark.parametrize(
    ("verb", "destination"), [(Verb.DELETE, ""), (Verb.MOVE, ""), (Verb.RETAG, "s3://c/")]
)
async def test_without_a_destination_the_source_is_it(tmp_path: Path, verb: Verb, destination: str) -> None:
    ends = await ends_of(tmp_path, verb, "s3://b/in/", destination)
    assert ends.is_one_store
    assert ends.base == ""


async def test_a_directory_that_is_a_destination_is_made(tmp_path: Path) -> None:
    ends = await ends_of(tmp_path, Verb.COPY, "s3://b/in/", f"{tmp_path}/new/")
    assert isinstance(ends.destination, LocalStore)
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [("-", "s3://b/", "stream"), ("s3://b/", "-", "stream"), ("{}/", "{}/x/", "both ends are local")],
)
async def test_what_cannot_be_an_end_is_refused(
    tmp_path: Path, source: str, destination: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await ends_of(tmp_path, Verb.COPY, source.format(tmp_path), destination.format(tmp_path))


async def test_a_directory_that_is_not_there_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no directory"):
        await ends_of(tmp_path, Verb.COPY, f"{tmp_path}/nothing/", "s3://b/")
