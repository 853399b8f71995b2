"""Jobs over real servers: large objects by parts, odd keys, keys of KMS, buckets with versions, processes."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.config import resolve
from haulyard.config.ends import ends_of
from haulyard.errors import TransferError
from haulyard.jobs import conduct
from haulyard.jobs.applying.options import ApplyOptions
from haulyard.jobs.inventory import shard_ids
from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, Verb
from haulyard.jobs.specification import Specification
from haulyard.journal.building import ShardBuilder
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard
from haulyard.models import Encryption, PutOptions
from haulyard.s3 import aws
from haulyard.stores.assemble import Connection
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.conftest import Server

    from haulyard.jobs.applying.options import Tally
    from haulyard.stores.s3 import S3Store

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
#: What moto holds under its name; SeaweedFS keeps keys as paths.
ODDEST = (
    *("a//b", "/leading", "trailing/", "with space", "a+b", "100%", "100%2F"),
    *("ünïcödé", "e\u0301", "🚚", "quo\"te's", "a&b", "<tag>", "ques?tion", "#hash", "back\\slash"),
    *("dot/./dot", "up/../up", "...", "~", "*", "semi;colon=,"),
)


@dataclass
class Site:
    """A bucket of a server, and a job in it."""

    connection: Connection
    bucket: str
    directory: str

    @property
    def folder(self) -> JobFolder:
        return JobFolder.open(self.directory, "job")

    @property
    def _transfer(self) -> TransferOptions:
        return TransferOptions(state_dir=self.connection.settings.state_dir)

    @property
    def store(self) -> S3Store:
        return self.connection.bucket(self.bucket)

    async def planned(self, verb: Verb = Verb.MOVE, rules: str = "", **given: Any) -> None:
        source, destination = f"s3://{self.bucket}/in/", f"s3://{self.bucket}/out/"
        specification = Specification(
            verb,
            source,
            destination if verb.writes_elsewhere else "",
            rules,
            ends=ends_of(self.connection.settings),
            **given,
        )
        folder = JobFolder.create(self.directory, "job", specification.to_json())
        await conduct.plan(folder, self.around())

    async def apply(self, processes: int = 1, **given: Any) -> Tally:
        return await conduct.apply(
            self.folder, ApplyOptions(transfer=self._transfer, **given), self.around(), processes=processes
        )

    async def undo(self) -> Tally:
        return await conduct.undo(self.folder, ApplyOptions(transfer=self._transfer), self.around())

    def around(self) -> conduct.Surroundings:
        return conduct.Surroundings(self.connection, self.connection, lambda _event: None, lambda _done: None)

    async def able(self, **capabilities: Any) -> None:
        known = (await self.connection.proved(self.bucket)).capabilities
        self.connection._proved[self.bucket] = replace(known, **capabilities)

    async def contents(self) -> dict[str, bytes]:
        found = {}
        async for page in self.store.list():
            for info in page.objects:
                async with await self.store.get(info.key) as reader:
                    found[info.key] = await reader.read()
        return found

    def workers(self) -> set[int]:
        """Return the processes that worked on shards."""
        pids = set()
        for path in self.folder.shard_paths():
            with Shard.open(path, owner="", read_only=True) as shard:
                pids |= {entry.details["pid"] for entry in shard.entries() if not entry.item}
        return pids - {os.getpid()}

    def verified(self) -> set[str]:
        said = set()
        for path in self.folder.shard_paths():
            with Shard.open(path, owner="", read_only=True) as shard:
                said |= {
                    entry.details["verified"] for entry in shard.entries() if "verified" in entry.details
                }
        return said


@asynccontextmanager
async def site_of(server: Server, name: str, directory: Path) -> AsyncIterator[Site]:
    environ = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    given = {
        "endpoint_url": server.endpoint_url,
        "region": server.region,
        "state_dir": str(directory / "state"),
    }
    async with Connection(resolve(given, environ, str(directory))) as connection:
        await connection.client.create_bucket(name)
        yield Site(connection, name, str(directory))


@pytest.fixture(params=["seaweedfs", "moto"])
async def site(
    request: pytest.FixtureRequest, bucket_name: Callable[[], str], tmp_path: Path
) -> AsyncIterator[Site]:
    server: Server = request.getfixturevalue(request.param)
    async with site_of(server, bucket_name(), tmp_path) as made:
        yield made


FULL = PutOptions(
    content_type="text/odd",
    cache_control="no-cache",
    metadata={"colour": "blue"},
    tags={"team": "red", "keep": "yes"},
)


async def test_large_objects_are_moved_by_parts_with_all_they_have_and_come_back(site: Site) -> None:
    data = os.urandom(12 * MIB)
    await site.store.put("in/large", data, FULL)
    await site.store.put("in/small", b"small", FULL)
    await site.planned()
    await site.able(max_put_size=5 * MIB, max_part_size=5 * MIB)
    assert (await site.apply()).failed == 0
    for key in ("out/large", "out/small"):
        head = await site.store.head(key)
        assert (head.content_type, head.cache_control) == ("text/odd", "no-cache")
        assert dict(head.metadata) == {"colour": "blue"}
        assert await site.store.get_tags(key) == FULL.tags
    assert await site.contents() == {"out/large": data, "out/small": b"small"}
    assert (await site.store.head("out/large")).etag.endswith("-3")
    await site.undo()
    assert await site.contents() == {"in/large": data, "in/small": b"small"}
    assert await site.store.get_tags("in/large") == FULL.tags


async def test_an_acl_is_kept_where_that_is_asked_for(
    seaweedfs: Server, bucket_name: Callable[[], str], tmp_path: Path
) -> None:
    """Not on moto, which forgets what is granted to groups."""
    async with site_of(seaweedfs, bucket_name(), tmp_path) as site:
        await keep_acls(site)


async def keep_acls(site: Site) -> None:
    await site.store.put("in/a", b"a" * 100)
    await site.store.put("in/large", os.urandom(6 * MIB))
    for key in ("in/a", "in/large"):
        await site.store.set_acl(key, "public-read")
    acl = await site.store.get_acl("in/large")
    await site.planned(properties={"acl": "keep"})
    await site.able(max_put_size=5 * MIB, max_part_size=5 * MIB)
    await site.apply()
    assert (await site.store.get_acl("out/a")).grants == acl.grants
    assert (await site.store.get_acl("out/large")).grants == acl.grants


async def test_a_bucket_with_versions_gets_back_what_was_there(site: Site) -> None:
    await keep_versions(site)
    for number in range(5):
        await site.store.put(f"in/{number}", str(number).encode(), FULL)
    await site.store.put("out/0", b"old")
    before = await site.contents()
    await site.planned()
    await site.apply(on_conflict="overwrite")
    assert await site.contents() == {f"out/{number}": str(number).encode() for number in range(5)}
    tally = await site.undo()
    assert (tally.done, tally.skipped, tally.failed) == (5, 0, 0)
    assert await site.contents() == before


async def test_deleting_with_versions_is_undone(site: Site) -> None:
    await keep_versions(site)
    for number in range(5):
        await site.store.put(f"in/{number}", str(number).encode())
    before = await site.contents()
    await site.planned(Verb.DELETE)
    await site.apply()
    assert await site.contents() == {}
    await site.undo()
    assert await site.contents() == before


async def keep_versions(site: Site) -> None:
    keys = await site.connection.credentials.get(0.0)
    await aws.put_bucket_versioning(aws.AwsTarget(keys, site.connection.endpoint), site.bucket, enabled=True)


async def test_objects_changed_since_the_plan_are_kept(site: Site) -> None:
    for number in range(4):
        await site.store.put(f"in/{number}", str(number).encode())
    await site.planned()
    await site.store.put("in/1", b"newer")
    await site.store.put("out/2", b"somebody's")
    assert (await site.apply()).failed == 2
    assert await site.contents() == {
        "out/0": b"0",
        "in/1": b"newer",
        "in/2": b"2",
        "out/2": b"somebody's",
        "out/3": b"3",
    }


async def test_tags_are_replaced_and_put_back(site: Site) -> None:
    await site.store.put("in/a", b"a", FULL)
    await site.planned(Verb.RETAG, "[[rule]]\nmatch = '.'\ntags = { new = 'yes' }\nremove_tags = ['keep']")
    await site.apply()
    assert await site.store.get_tags("in/a") == {"team": "red", "new": "yes"}
    await site.undo()
    assert await site.store.get_tags("in/a") == FULL.tags


async def test_keys_with_every_odd_character_are_moved_and_come_back(
    moto: Server, bucket_name: Callable[[], str], tmp_path: Path
) -> None:
    async with site_of(moto, bucket_name(), tmp_path) as site:
        for key in ODDEST:
            await site.store.put(f"in/{key}", key.encode())
        before = await site.contents()
        assert before.keys() == {f"in/{key}" for key in ODDEST}
        await site.planned()
        assert (await site.apply()).failed == 0
        after = await site.contents()
        assert after == {f"out/{key[3:]}": data for key, data in before.items()}
        await site.undo()
        assert await site.contents() == before


async def test_objects_under_keys_of_kms_are_called_size_only_or_read_again(
    moto: Server, bucket_name: Callable[[], str], tmp_path: Path
) -> None:
    async with site_of(moto, bucket_name(), tmp_path) as site:
        put = PutOptions(encryption=Encryption("aws:kms"), checksum_algorithm="none")
        await site.store.put("in/a", b"a", put)
        await site.planned(properties={"sse": "aws:kms"})
        assert (await site.apply(verify="checksum")).failed == 0
        assert site.verified() == {"checksum"}
        assert (await site.store.head("out/a")).encryption == "aws:kms"


def split(folder: JobFolder, rows_a_shard: int) -> None:
    """Cut a plan's only shard into several."""
    (path,) = folder.shard_paths()
    with Shard.open(path, owner="", read_only=True) as shard:
        rows = [row for page in shard.rows() for row in page]
    os.unlink(path)
    for number, start in enumerate(range(0, len(rows), rows_a_shard)):
        builder = ShardBuilder(
            os.path.join(folder.shards, f"{number:05}.db"), PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS
        )
        builder.add([row[1:] for row in rows[start : start + rows_a_shard]])
        builder.seal()
    folder.write("state", {**(folder.read("state") or {}), "shards": shard_ids(folder)})


async def test_several_processes_share_the_shards_of_a_job(
    seaweedfs: Server, bucket_name: Callable[[], str], tmp_path: Path
) -> None:
    async with site_of(seaweedfs, bucket_name(), tmp_path) as site:
        objects = {f"in/{number:03}": str(number).encode() for number in range(60)}
        for key, data in objects.items():
            await site.store.put(key, data)
        await site.planned()
        split(site.folder, 10)
        await site.store.put("out/007", b"somebody's")
        tally = await site.apply(processes=2)
        assert (tally.done, tally.failed) == (59, 1)
        expected = {f"out/{key[3:]}": data for key, data in objects.items() if key != "in/007"}
        assert await site.contents() == expected | {"in/007": b"7", "out/007": b"somebody's"}
        assert len(site.workers()) == 2


async def test_several_processes_stop_together_once_too_many_failed(
    seaweedfs: Server, bucket_name: Callable[[], str], tmp_path: Path
) -> None:
    async with site_of(seaweedfs, bucket_name(), tmp_path) as site:
        for number in range(40):
            await site.store.put(f"in/{number:03}", b"x")
        await site.planned()
        split(site.folder, 10)
        for number in range(40):
            await site.store.put(f"in/{number:03}", b"replaced")
        with pytest.raises(TransferError, match="allows 3"):
            await site.apply(processes=2, max_errors=3)
        assert len(await site.contents()) == 40
