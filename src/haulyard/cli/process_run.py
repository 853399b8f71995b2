"""Runs a records job: where its settings come from, what it works with, and what is said of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard._version import __version__
from haulyard.cli import exits, jobs
from haulyard.cli.ends import Reading, Sources
from haulyard.config import PROCESSING, ProcessSettings
from haulyard.config.ends import ends_of, with_ends
from haulyard.config.processing import URL
from haulyard.errors import ApiDenied, ApiUnavailable, ConfigError
from haulyard.events import Warned
from haulyard.journal.folder import JobFolder
from haulyard.observe.lines import describe_error, error_fields
from haulyard.observe.run_log import RunLog
from haulyard.records import figures, letters, parts, processing
from haulyard.records.judging import Judge
from haulyard.records.ledger import Ledger
from haulyard.records.outbox import Place
from haulyard.records.pacer import Limit
from haulyard.records.parts import Source
from haulyard.records.preview import preview
from haulyard.records.processing import RunOptions, Surroundings
from haulyard.records.run import Manner
from haulyard.records.secrets import check_address, check_url, check_variables, filled
from haulyard.records.specification import Specification
from haulyard.records.stages import FINISHED, stage_of
from haulyard.records.status import status_of
from haulyard.url import LocalPath, S3Url, StdStream, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from haulyard.cli.context import Context
    from haulyard.cli.process_options import Options
    from haulyard.records.processing import Outcome

_LOG = os.path.join("logs", "processor.log")


def print_letters(options: Options, context: Context) -> int:
    """Print the dead letters of a job that were not delivered since, as JSON Lines."""
    folder = jobs.open_job(options.dead_letters, context)
    Specification.from_json(folder.specification)
    if Ledger.exists(folder):
        with Ledger.open(folder, read_only=True) as ledger:
            for line in letters.lines(ledger, unresolved_only=True):
                context.output.lines([line.decode().rstrip("\n")])
    return exits.OK


async def process(options: Options, context: Context) -> int:
    """Send what is left to be sent of a job, or say what would be."""
    values, _ = context.resolve_owned(PROCESSING, options.settings)
    own = ProcessSettings(**values)
    specification = _job_to_go_on_with(options, own, context) or _specification(options, own, context)
    settings = with_ends(context.settings, specification.ends)
    _check(specification, options, own, settings.environment)
    inner = context.inside(settings, context.output)
    source = _source(specification, inner)
    around = Surroundings(
        source,
        settings,
        settings.environment,
        context.emit,
        answers=_place(specification.save_responses, inner, single=False),
        letters=_place(options.dead_letters_to, inner, single=True),
        stopping=asyncio.Event(),
    )
    if options.dry_run:
        return await _preview(specification, around, options, own, context)
    folder = _folder(options, specification, context)
    with _logged(folder, specification, context) as log:
        outcome = await _run(folder, around, _run_options(options, own), context)
        status = status_of(folder)
        log.say("info", "ended", "; ".join(figures.lines_of(status.account)), status.fields())
    context.output.result(status)
    if context.stop.requested and not outcome.is_finished:
        return exits.INTERRUPTED
    return exits.FAILED if outcome.account.failures or outcome.unread else exits.OK


async def _run(folder: JobFolder, around: Surroundings, options: RunOptions, context: Context) -> Outcome:
    """Work, stop when it is asked for, and say how to go on where it does not come to its end."""
    verb = "process --retry-failed" if options.retry_failed else "process --job"
    again = f"nothing is lost; go on with:  {jobs.command(verb, folder.name, context)}"
    stopping = around.stopping or asyncio.Event()

    async def watch() -> None:
        await context.stop.wait()
        stopping.set()

    context.stop.grace = options.manner.grace + 1
    watcher = asyncio.create_task(watch())
    try:
        with context.stop.attended(), context.progress("records") as expect:
            around = replace(around, expect=expect)
            outcome = await processing.process(folder, around, options)
    except asyncio.CancelledError:
        context.output.note(again)
        raise
    except (ApiDenied, ApiUnavailable):
        context.output.note(again)
        raise
    finally:
        watcher.cancel()
    if context.stop.requested and not outcome.is_finished:
        context.output.note(again)
    return outcome


async def _preview(
    specification: Specification,
    around: Surroundings,
    options: Options,
    own: ProcessSettings,
    context: Context,
) -> int:
    encode, _ = parts.encoder_of(specification)
    with context.stop.attended():
        found = await preview(
            parts.objects_of(specification, around.source),
            parts.reader(specification, around.source.store, own.chunk_size, emit=context.emit),
            parts.shaper_of(specification),
            encode,
            specification.records_per_call,
            f"{specification.method} {specification.to}",
            limit=options.limit,
            stopped=context.stop.is_requested,
        )
    context.output.result(found)
    return exits.INTERRUPTED if context.stop.requested else exits.OK


def _check(
    specification: Specification, options: Options, own: ProcessSettings, environ: Mapping[str, str]
) -> None:
    """Find what is wrong before anything is made or read; a dry run needs no secrets. Raises ConfigError."""
    parts.encoder_of(specification)
    parts.shaper_of(specification)
    parts.read_options(specification, own.chunk_size)
    Judge(specification.success)
    if not options.dry_run:
        check_variables((value for _, value in specification.headers), environ)
        address = filled(specification.to, environ)
        check_url(address)
        try:
            URL.parse(address)
        except ValueError:
            raise ConfigError(
                "the API's address is no http:// or https:// URL", hint="write --to https://…"
            ) from None


def _job_to_go_on_with(options: Options, own: ProcessSettings, context: Context) -> Specification | None:
    """Return what is asked of a job that is named without saying what it is to do, None for another."""
    name = options.retry_failed or ("" if options.source or options.new else options.job)
    if not name:
        return None
    where = jobs.directory(context)
    is_told = bool(own.s3_bucket and own.s3_key) and not options.retry_failed
    if not (options.retry_failed or JobFolder.exists(where, name)) or (options.described and is_told):
        return None
    if options.described:
        raise ConfigError(
            f"job {name} keeps what it was asked for",
            hint="leave the other flags out, or name its SOURCE, too",
        )
    folder = JobFolder.open(where, name)
    found = Specification.from_json(folder.specification)
    if not found.goes_to_an_address:
        raise ConfigError(
            f"job {name} is not of haul process: it goes to {found.to}",
            hint="run the program or the command that began it again: that goes on with it",
        )
    if is_told and (other := _source_of(options, own)) != found.source:
        if stage_of(folder)[0] == FINISHED:
            # It would send nothing, and who has changed S3_KEY expects it to.
            return None
        context.emit(Warned(f"job {name} goes on with {found.source}", hint=f"S3_KEY now says {other}"))
    return found


def _specification(options: Options, own: ProcessSettings, context: Context) -> Specification:
    _check_given(options, own)
    check_address(own.api_endpoint)
    return Specification(
        source=_source_of(options, own),
        to=own.api_endpoint,
        manifest=os.path.abspath(options.manifest) if _is_path(options.manifest) else options.manifest,
        recursive=options.recursive,
        raw=options.raw,
        filters=options.filters,
        format=options.format,
        compression=options.compression,
        encoding=options.encoding,
        delimiter=options.delimiter,
        quote=options.quote,
        escape=options.escape,
        columns=options.columns,
        types=options.types,
        grid=parts.grid_for(own.batch_size),
        fields=options.fields,
        renames=dict(options.renames),
        transform=options.transform,
        sample=options.sample,
        method=options.method,
        headers=options.headers,
        body=options.body,
        template=options.template,
        records_per_call=options.records_per_call,
        success=options.success,
        save_responses=_absolute(options.save_responses),
        responses_format=options.responses_format,
        ends=ends_of(context.settings),
        created=time.time(),
        release=__version__,
        uid=secrets.token_hex(6),
    )


def _check_given(options: Options, own: ProcessSettings) -> None:
    """Name all that is missing. Raises ConfigError."""
    needed = {"API_ENDPOINT": own.api_endpoint}
    if not options.source:
        needed = {"S3_BUCKET": own.s3_bucket, "S3_KEY": own.s3_key, **needed}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        *others, last = missing
        names = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        unknown = f"there is no job {options.job!r} to go on with, and " if options.job else ""
        raise ConfigError(
            f"{unknown}{names} not set",
            hint="write haul process SOURCE --to URL, or set them in the environment or in .env",
        )


def _source_of(options: Options, own: ProcessSettings) -> str:
    return _absolute(options.source) if options.source else f"s3://{own.s3_bucket}/{own.s3_key}"


def _run_options(options: Options, own: ProcessSettings) -> RunOptions:
    limits = options.limits
    if not limits and own.rate_limit_calls:
        limits = ((own.rate_limit_calls, own.rate_limit_period),)
    defaults = Manner()
    return RunOptions(
        limits=tuple(Limit(calls, seconds) for calls, seconds in limits),
        max_in_flight=own.max_in_flight,
        chunk_size=own.chunk_size,
        timeout=options.timeout or RunOptions().timeout,
        manner=replace(
            defaults,
            grace=defaults.grace if options.grace is None else options.grace,
            patience=defaults.patience if options.patience is None else options.patience,
            streak=defaults.streak if options.stop_after is None else options.stop_after,
        ),
        limit=options.limit,
        retry_failed=bool(options.retry_failed),
    )


def _folder(options: Options, specification: Specification, context: Context) -> JobFolder:
    if options.retry_failed:
        return jobs.open_job(options.retry_failed, context)
    created = processing.create(jobs.directory(context), specification, options.job, new=options.new)
    if created.kept_as:
        context.output.note(f"the job of that name had sent something: it is kept as {created.kept_as}")
    return created.folder


def _source(specification: Specification, context: Context) -> Source:
    reading = Reading(
        recursive=specification.recursive,
        raw=specification.raw,
        manifest=bool(specification.manifest),
        is_source=False,
    )
    found = Sources(context, reading).open(specification.source)
    return Source(
        found.store, found.selection, found.version_id, lambda bucket: context.bucket(S3Url(bucket))
    )


def _place(where: str, context: Context, *, single: bool) -> Place | None:
    """Return where something is written: a prefix or directory, or a ``single`` object or file."""
    if not where:
        return None
    end = parse(where)
    if isinstance(end, StdStream):
        raise ConfigError(
            "- cannot be written to again and again", hint="name a directory or s3://bucket/prefix/"
        )
    if isinstance(end, LocalPath):
        directory, name = os.path.split(os.path.abspath(end.path)) if single else (end.path, "")
        return Place(context.directory(directory), name)
    key = end.key
    if single and (not key or key.endswith("/")):
        key += "dead-letters.jsonl"
    elif not single and key and not key.endswith("/"):
        key += "/"
    return Place(context.bucket(end), key)


def _is_path(text: str) -> bool:
    return bool(text) and isinstance(parse(text), LocalPath)


def _absolute(text: str) -> str:
    """Return a URL as it is, a path as it is understood from any directory; its last slash stays."""
    if not _is_path(text):
        return text
    return os.path.abspath(text) + ("/" if text.endswith("/") and text != "/" else "")


@contextmanager
def _logged(folder: JobFolder, specification: Specification, context: Context) -> Iterator[RunLog]:
    """Keep the log of the run in ``logs/processor.log``; what --log-file names is written beside it."""
    settings = context.settings
    log = RunLog(_LOG, level=settings.log_level, as_json=settings.json)
    context.subscribers.add(log, requests=settings.log_level == "debug")
    began = {"job": folder.name, "source": specification.source, "to": specification.to}
    log.say("info", "began", f"job {folder.name}: {specification.source} to {specification.to}", began)
    try:
        yield log
    except BaseException as error:
        log.say("error", "stopped", f"stopped: {describe_error(error)}", error_fields(error))
        if settings.log_level == "debug":
            log.say("debug", "trace", "".join(traceback.format_exception(error)), {})
        raise
    finally:
        context.subscribers.remove(log)
        log.close()
