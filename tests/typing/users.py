"""What type checkers see of the API, from a user's side: checked by mypy in strict mode, never run.

An ``ignore`` without an error is an error itself, so what must not be accepted is held here, too.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import haulyard
from haulyard import (
    AsyncClient,
    AsyncJob,
    AsyncProcessor,
    BucketInfo,
    BytesMoved,
    Client,
    CommonPrefix,
    DeleteOutcome,
    Encryption,
    Event,
    HaulError,
    Job,
    JobError,
    Loaded,
    ObjectAcl,
    ObjectHead,
    ObjectInfo,
    ObjectVersion,
    Plan,
    PresignedPost,
    PresignedUrl,
    Probe,
    Processor,
    PutResult,
    Rules,
    RulesError,
    S3Error,
    SchemaInfo,
    Secret,
    TableOptions,
    TooManyRejects,
    TransferDone,
    TransferResult,
    load_table,
    read_table,
)
from haulyard.fs import NodeInfo, Outcome, S3Provider, S3ProviderConfig, SyncS3Provider
from haulyard.records.preview import Preview
from haulyard.records.status import RecordsStatus


def listen(event: Event) -> None:
    if isinstance(event, BytesMoved):
        assert_type(event.size, int)
    if isinstance(event, TransferDone):
        assert_type(event.error, Exception | None)


def blocking() -> None:
    with Client(region="eu-west-1", concurrency=8, part_size="64MiB", on_event=listen) as client:
        assert_type(client, Client)
        assert_type(client.get("s3://b/k", range=(0, 5)), bytes)
        assert_type(client.get("s3://b/k", range=haulyard.ByteRange(-5)), bytes)
        assert_type(client.put("s3://b/k", b"x", metadata={"a": "b"}, if_none_match="*"), PutResult)
        assert_type(client.put("s3://b/k", memoryview(b"x"), expires=datetime.now(UTC)), PutResult)
        assert_type(client.head("s3://b/k"), ObjectHead)
        assert_type(client.exists("s3://b"), bool)
        assert_type(client.delete("s3://b/k"), DeleteOutcome)
        assert_type(client.delete_many(["s3://b/k"]), list[DeleteOutcome])
        assert_type(client.list("s3://b"), Iterator[ObjectInfo])
        assert_type(client.list("s3://b", delimiter="/"), Iterator[ObjectInfo | CommonPrefix])
        assert_type(client.list_versions("s3://b"), Iterator[ObjectVersion])
        assert_type(client.buckets(), Iterator[BucketInfo])
        assert_type(client.get_tags("s3://b/k"), dict[str, str])
        assert_type(client.get_acl("s3://b/k"), ObjectAcl)
        assert_type(client.presign("s3://b/k", expires_in=timedelta(hours=1)), PresignedUrl)
        assert_type(client.presign_post("s3://b/k", expires_in=60), PresignedPost)
        assert_type(client.check_access("s3://b"), list[Probe])
        key = Encryption("SSE-C", customer_key=Secret(bytes(32)))
        assert_type(client.upload(Path("a"), "s3://b/", recursive=True, encryption=key), TransferResult)
        assert_type(client.download("s3://b/k", "a", encryption=key, on_event=listen), TransferResult)
        assert_type(client.copy("s3://b/k", "s3://b/l", storage_class="STANDARD_IA"), TransferResult)
        assert_type(client.move("s3://b/k", Path("here")), TransferResult)
        assert_type(client.sync("a", "s3://b/", delete=True, include=["*.csv"]), TransferResult)
        assert_type(client.delete_tree("s3://b/a/").deleted, int)


def files(client: Client) -> None:
    reader: io.BufferedReader = client.open("s3://b/k")
    writer: io.BufferedWriter = client.open("s3://b/k", "wb", content_type="text/csv")
    assert_type(client.open("s3://b/k").head, ObjectHead)
    assert_type(client.open("s3://b/k", "xb").result, PutResult)
    io.TextIOWrapper(reader, "utf-8")
    writer.write(b"x")


async def asynchronous() -> None:
    async with AsyncClient(addressing="path") as client:
        assert_type(client, AsyncClient)
        assert_type(await client.get("s3://b/k"), bytes)
        assert_type(await client.put("s3://b/k", b"x"), PutResult)
        assert_type(client.list("s3://b"), AsyncIterator[ObjectInfo])
        assert_type(client.list("s3://b", delimiter="/"), AsyncIterator[ObjectInfo | CommonPrefix])
        assert_type(await client.upload("a", "s3://b/"), TransferResult)
        async with client.open("s3://b/k") as reader:
            assert_type(await reader.read(5), bytes)
            async for piece in reader:
                assert_type(piece, bytes | bytearray | memoryview)
        async with client.open("s3://b/k", "wb") as writer:
            assert_type(await writer.write(b"x"), int)
        assert_type(writer.result, PutResult)


def jobs(client: Client) -> None:
    rules = Rules.parse("[[rule]]\nglob = '*'\nto = '{key}'")
    job = Job.plan(client, "move", "s3://b/in/", "s3://b/", rules=rules, exclude="*.tmp", on_event=listen)
    assert_type(job, Job)
    assert_type(Job(client, "sorting", directory=Path("jobs")).name, str)
    assert_type(job.summary().price, float)
    assert_type(job.summary().findings.collisions, int)
    assert_type(job.apply(on_conflict="suffix", rate=100, processes=2).done, int)
    assert_type(job.status().is_running, bool)
    assert_type(job.survey_undo().lines(), list[str])
    assert_type(job.undo(check=False).skipped, int)
    assert_type(job.report().failed, int)
    plan = Plan.open(job.name)
    for operation in plan.operations({"act"}):
        assert_type(operation.key, str)
        assert_type(operation.size, int)
    assert_type(plan.query("SELECT key FROM plan").columns, tuple[str, ...])
    assert_type(plan.export(Path("plan.csv"), "csv"), int)


async def jobs_with_a_loop(client: AsyncClient) -> None:
    job = await AsyncJob.plan(client, "restore", "s3://b/old/", days=7, tier="Bulk")
    assert_type(job, AsyncJob)
    assert_type((await job.apply(max_errors=10, verify="checksum")).failed, int)
    assert_type((await job.status()).failed, int)
    assert_type((await job.undo()).interrupted, bool)


def refused_jobs(client: Client, other: AsyncClient) -> None:
    Job.plan(client, "shuffle", "s3://b/")  # type: ignore[arg-type]
    Job.plan(client, "move", "s3://b/", rules=["*"])  # type: ignore[arg-type]
    Job(client, "sorting").apply(on_conflict="guess")  # type: ignore[arg-type]
    Job(other, "sorting")  # type: ignore[arg-type]


def errors_of_jobs(error: JobError, mistakes: RulesError) -> None:
    root: HaulError = error
    assert_type(root.hint, str)
    assert_type(mistakes.mistakes[0].line, int)


async def take(record: dict[str, str]) -> int:
    return len(record)


def records(client: Client) -> None:
    processor = Processor(
        client, "s3://b/in.csv", "https://api.example.com/", name="people", headers={"x-a": "b"}, method="PUT"
    )
    status = processor.run(limits=[(10, 60.0), (1000, 86400.0)], max_in_flight=8, on_event=listen)
    assert_type(status, RecordsStatus)
    assert_type(status.account.delivered, int)
    assert_type(processor.retry_failed(check=False), RecordsStatus)
    assert_type(processor.preview(limit=3), Preview)
    assert_type(processor.dead_letters(), Iterator[dict[str, Any]])
    Processor(client, Path("in.csv"), take, records_per_call=1)
    Processor(client, "in.csv", len)  # type: ignore[arg-type]
    Processor(client, "in.csv", "https://a/", colour="blue")  # type: ignore[call-arg]
    Processor(client, "in.csv", "https://a/", method="BREW")  # type: ignore[arg-type]


async def records_with_a_loop(client: AsyncClient) -> None:
    processor = AsyncProcessor(client, Path("in.csv"), take, transform=lambda record: [record])
    assert_type(await processor.run(), RecordsStatus)
    assert_type(processor.dead_letters(), AsyncIterator[dict[str, Any]])
    Processor(client, "in.csv", "https://a/")  # type: ignore[arg-type]


async def filesystems(provider: S3Provider, blocking: SyncS3Provider) -> None:
    assert_type(await provider.write_file("a", b"x", metadata={"k": "v"}), NodeInfo)
    assert_type(await provider.batch_read(["a"]), list[Outcome[bytes]])
    assert_type((await provider.batch_write([("a", b"x")]))[0].unwrap(), NodeInfo)
    assert_type(provider.stream_read("a"), AsyncIterator[bytes])
    assert_type(blocking.stream_read("a"), Iterator[bytes])
    assert_type(blocking.update("a", lambda old: old + b"x"), NodeInfo)
    assert_type(await provider.with_retry(provider.exists, "a"), bool)
    assert_type(blocking.with_retry(blocking.exists, "a"), bool)
    await provider.write_file("a", "text")  # type: ignore[arg-type]
    await provider.write_file("a", b"x", colour="blue")  # type: ignore[call-arg]
    await provider.with_retry(provider.exists)  # type: ignore[call-arg]
    S3ProviderConfig("b", checksum_algorithm="ROT13")  # type: ignore[arg-type]


def errors(error: S3Error) -> None:
    assert_type(error.status, int)
    assert_type(error.code, str)
    root: HaulError = error
    assert_type(root.hint, str)


def refused(client: Client) -> None:
    haulyard.nothing  # type: ignore[attr-defined]  # noqa: B018
    Client("s3://b")  # type: ignore[call-arg]
    Client(colour="blue")  # type: ignore[call-arg]
    Client(addressing="side")  # type: ignore[arg-type]
    client.put("s3://b/k", "text")  # type: ignore[arg-type]
    client.put("s3://b/k", b"x", colour="blue")  # type: ignore[call-arg]
    client.open("s3://b/k", "r")  # type: ignore[call-overload]
    client.open("s3://b/k", "wb", range=(0, 1))  # type: ignore[call-overload]
    client.open("s3://b/k", metadata={})  # type: ignore[call-overload]
    client.presign("s3://b/k", method="POST")  # type: ignore[arg-type]
    client.upload("a", "s3://b/", delete=True)  # type: ignore[call-arg]
    client.get(Path("s3:/b/k"))  # type: ignore[arg-type]


def tables(client: Client) -> None:
    """Options of tables are named and typed, also where they are kept for several calls."""
    options: TableOptions = {"delimiter": ";", "on_drift": "widen", "memory": 1 << 28}
    _, info = read_table("s3://b/t.csv", max_rejects=None, client=client, **options)
    assert_type(info, SchemaInfo)
    assert_type(load_table("s3://b/t.csv", key=["id"], mode="upsert", **options), Loaded)
    read_table("t.csv", delimeter=";")  # type: ignore[call-arg]
    load_table("t.csv", on_drift="ignore")  # type: ignore[arg-type]
    try:
        read_table("t.csv")
    except TooManyRejects as error:
        assert_type(error.rejected, int)
