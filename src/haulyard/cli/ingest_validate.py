"""`haul ingest --validate`: can the files be read, and are they what their names say?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from haulyard.cli.findings import Diagnosis, Finding, failure
from haulyard.cli.formats import human_size
from haulyard.cli.ingest_words import in_flags
from haulyard.errors import HaulError
from haulyard.ingest.dataset import open_dataset
from haulyard.ingest.examining import first_look
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.cli.context import Context
    from haulyard.cli.ingest_options import Options
    from haulyard.client.session import Session
    from haulyard.ingest.model import ReadOptions, SourceFile

#: Files whose footers or first rows are looked at; more of them would be reading.
_LOOKED_AT: Final = 100


async def validate(options: Options, reading: ReadOptions, session: Session, context: Context) -> int:
    """Print one line for each check, and return the code of the first that failed."""
    findings: list[Finding] = []

    def tell(*found: Finding) -> None:
        told = [replace(each, hint=in_flags(each.hint)) for each in found]
        findings.extend(told)
        context.output.results(told)

    buckets = {end.bucket: end for end in map(parse, options.sources) if isinstance(end, S3Url)}
    if buckets and not await _check_buckets(buckets, context, tell):
        return _end(findings, context)
    try:
        dataset = await open_dataset(
            session,
            options.sources,
            reading,
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
        tell(await _check_file(file, reading))
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


async def _check_file(file: SourceFile, reading: ReadOptions) -> Finding:
    """Look at the footer of one file, or at its first rows."""
    try:
        look = await first_look(file, reading)
    except (HaulError, OSError) as error:
        return failure("format", file.uri, error)
    what = f"{look.form}, {look.packed}" if look.packed else look.form
    text = f"{what}; {human_size(look.size)} of it were read"
    if look.warnings:
        told = "; ".join(warning.message for warning in look.warnings)
        return Finding("format", file.uri, "warning", f"{text}; {told}", look.warnings[0].hint)
    return Finding("format", file.uri, "ok", text)


def _end(findings: list[Finding], context: Context) -> int:
    diagnosis = Diagnosis(findings)
    context.output.result(diagnosis)
    return diagnosis.exit_code
