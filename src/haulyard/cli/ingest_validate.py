"""`haul ingest --validate`: can the files be read, and are they what their names say? No row is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.cli.findings import Diagnosis, Finding, failure
from haulyard.cli.formats import human_size
from haulyard.errors import HaulError, IngestError
from haulyard.ingest.dataset import open_dataset
from haulyard.ingest.model import ReadOptions
from haulyard.models import ByteRange, GetOptions
from haulyard.records.formats.compression import Inflater
from haulyard.records.formats.detection import HEAD, PARQUET_MAGIC, compression_of, format_of
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.cli.context import Context
    from haulyard.cli.ingest_options import Options
    from haulyard.client.session import Session
    from haulyard.ingest.model import SourceFile

#: Files whose first bytes are looked at; more of them would be reading.
_LOOKED_AT: Final = 100


async def validate(options: Options, session: Session, context: Context) -> int:
    """Print one line for each check, and return the code of the first that failed."""
    findings: list[Finding] = []

    def tell(*found: Finding) -> None:
        findings.extend(found)
        context.output.results(found)

    buckets = {end.bucket: end for end in map(parse, options.sources) if isinstance(end, S3Url)}
    if buckets and not await _check_buckets(buckets, context, tell):
        return _end(findings, context)
    try:
        dataset = await open_dataset(
            session,
            options.sources,
            _finding_options(options),
            manifest=options.manifest,
            recursive=options.recursive,
        )
    except (HaulError, OSError) as error:
        tell(failure("files", "found", error))
        return _end(findings, context)
    count = f"{len(dataset.files):,} file{'' if len(dataset.files) == 1 else 's'}, {human_size(dataset.size)}"
    tell(Finding("files", "found", "ok", count, more={"files": len(dataset.files), "bytes": dataset.size}))
    looked_at = dataset.files[:_LOOKED_AT]
    for file in looked_at:
        tell(await _check_file(file, options))
    left = len(dataset.files) - len(looked_at)
    if left:
        tell(Finding("files", "format", "skipped", f"{left:,} more files were not looked at"))
    return _end(findings, context)


async def _check_buckets(buckets: dict[str, S3Url], context: Context, tell: Callable[..., None]) -> bool:
    """Check credentials and buckets; return whether it makes sense to go on."""
    # Resolvers, and what examines: all that --validate alone pays.
    from haulyard.cli.entitlements import check_bucket
    from haulyard.cli.surroundings import check_keys
    from haulyard.stores.diagnosis import Examination

    found, keys = await check_keys(context.settings)
    tell(found)
    if found.is_failure:
        return False
    async with Examination(context.settings, keys, context.emit) as examination:
        results = [each for url in buckets.values() for each in await check_bucket(examination, url)]
    tell(*results)
    return not any(each.is_failure for each in results)


async def _check_file(file: SourceFile, options: Options) -> Finding:
    """Look at the first bytes of one file."""
    try:
        head = b""
        if file.size:
            span = GetOptions(ByteRange(0, min(file.size, HEAD)), file.etag, version_id=file.version_id)
            async with await file.store.get(file.key, span) as reader:
                head = await reader.read()
        text = _judged(file, head, options)
    except (HaulError, OSError) as error:
        return failure("format", file.uri, error)
    return Finding("format", file.uri, "ok", f"{text}; {human_size(len(head))} of it were read")


def _judged(file: SourceFile, head: bytes, options: Options) -> str:
    """Return what a file is that begins with ``head``. Raises IngestError where its name lies."""
    packed = options.compression or compression_of(file.key, head)
    if packed and packed != "none":
        inflater = Inflater(packed, file.uri)  # type: ignore[arg-type]  # one of the flag's choices
        head = next(iter(inflater.feed(head)), b"")
    is_parquet = head.startswith(PARQUET_MAGIC)
    form = options.format or ("parquet" if is_parquet else format_of(file.key, head))
    if (form == "parquet") != is_parquet and head:
        what = "is Parquet" if is_parquet else "is no Parquet"
        raise IngestError(f"{file.uri} {what}, whatever its name says", hint="--format says what it is")
    return f"{form or 'empty'}{f', {packed}' if packed and packed != 'none' else ''}"


def _finding_options(options: Options) -> ReadOptions:
    return ReadOptions(format=options.format, hive=options.hive)  # type: ignore[arg-type]  # as above


def _end(findings: list[Finding], context: Context) -> int:
    diagnosis = Diagnosis(findings)
    context.output.result(diagnosis)
    return diagnosis.exit_code
