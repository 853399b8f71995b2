"""Makes the plan of a bulk job, and explains what its rules do with one key."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from haulyard._version import __version__
from haulyard.cli import exits, jobs
from haulyard.config.ends import ends_of
from haulyard.errors import ConfigError, HaulError
from haulyard.events import Warned
from haulyard.jobs import conduct
from haulyard.jobs.applying.wanted import KEEP_ACL
from haulyard.jobs.model import Stage, Verb
from haulyard.jobs.planning.recording import UNMATCHED
from haulyard.jobs.rules import Rules
from haulyard.jobs.rules.expand import NEVER
from haulyard.jobs.rules.given import ACLS, STORAGE_CLASSES, one_of
from haulyard.jobs.rules.mistakes import RulesError
from haulyard.jobs.specification import Specification
from haulyard.models import ObjectInfo
from haulyard.url import LocalPath, S3Url, StdStream, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.cli.context import Context
    from haulyard.cli.plan_options import Options
    from haulyard.jobs.planning.summary import PlanSummary
    from haulyard.journal.folder import JobFolder

_DONE = {Stage.APPLYING, Stage.APPLIED, Stage.UNDOING, Stage.UNDONE}


@dataclass(slots=True)
class Outcome:
    """The exit code of what was done."""

    code: int = exits.USAGE


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan in numbers; ``is_done`` where it has been applied, so that nothing is left to be proposed."""

    kind: ClassVar[str] = "plan"

    summary: PlanSummary
    is_done: bool

    def text(self) -> str:
        """Return it for people."""
        return "\n".join(self.summary.lines(next_step=not self.is_done))

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return self.summary.fields()


@contextmanager
def mistakes_told(context: Context) -> Iterator[Outcome]:
    """Say each mistake of a file of rules in a line of its own, as compilers do."""
    outcome = Outcome()
    try:
        yield outcome
    except RulesError as error:
        for line in error.lines():
            context.output.error(ConfigError(line))
        outcome.code = exits.USAGE


async def make(options: Options, context: Context) -> int:
    """Make a plan, or what is left of it to make, and say what it comes to."""
    specification = _specification(options, context)
    if specification.rules:
        Rules.parse(specification.rules, specification.rules_name).check(specification.verb)
    _speak_of_acceleration(specification, context)
    folder, existed, kept_as = conduct.create(
        jobs.directory(context), specification, options.job, new=options.new
    )
    if kept_as:
        context.output.note(f"the job of that name had done something: it is kept as {kept_as}")
    again = "the same command goes on with the plan"
    try:
        with context.stop.attended(), context.progress("objects", finding=True) as count:
            async with jobs.surroundings(specification, context, lambda _: None, expect=count) as around:
                summary = await conduct.plan(folder, around, prices=_absolute(options.prices))
    except asyncio.CancelledError:
        context.output.note(again)
        raise
    except HaulError:
        _forget(folder, existed=existed)
        raise
    return _say(folder, summary, context)


def _say(folder: JobFolder, summary: PlanSummary, context: Context) -> int:
    output = context.output
    stage = Stage((folder.read("state") or {}).get("stage", Stage.PLANNING))
    output.result(Planned(summary, stage in _DONE))
    output.writer.flush()
    if not summary.finished:
        return exits.INTERRUPTED
    if stage in _DONE:
        status = jobs.command("status", folder.name, context)
        output.note(f"this plan has been carried out, or begun: {status} says how far; --new makes another")
    elif summary.unmatched:
        output.note(f"all unmatched keys: {os.path.join(folder.path, UNMATCHED)}")
    else:
        output.note(f"all of the plan:  {jobs.command('plan show', folder.name, context)}")
    return exits.FAILED if summary.unmatched else exits.OK


def _forget(folder: JobFolder, *, existed: bool) -> None:
    """Remove a job that came to nothing: a bucket that is misspelt should leave no trace."""
    if not existed and not folder.shard_paths():
        folder.remove()


def _specification(options: Options, context: Context) -> Specification:
    verb = Verb(options.action)
    source = _place(options.place)
    destination = _place(options.target) if options.target else ""
    if "s3://" not in {source[:5], destination[:5]} or (not destination and source[:5] != "s3://"):
        raise ConfigError(
            "both ends are local" if destination or verb.writes_elsewhere else f"{source} is a local path",
            hint="a bulk job is about a bucket: write s3://bucket/prefix/",
        )
    if options.rules and destination.startswith("s3://") and not destination.endswith("/"):
        raise ConfigError(
            f"{destination} is one name, and rules make many",
            hint=f"write {destination}/ for what is below it",
        )
    rules = Rules.load(options.rules) if options.rules else None
    settings = context.settings
    _check_name("--acl", options.properties.get("acl"), (*ACLS, KEEP_ACL), "canned ACL")
    if not settings.endpoint_url:
        # Other stores may have classes of their own.
        _check_name(
            "--storage-class", options.properties.get("storage_class"), STORAGE_CLASSES, "storage class"
        )
    inside = all(end.startswith("s3://") for end in (source, destination or source))
    return Specification(
        verb=verb,
        source=source,
        destination=destination,
        rules=rules.text if rules else "",
        rules_name=options.rules,
        manifest=_absolute(options.manifest),
        recursive=options.recursive,
        raw=options.raw,
        flatten=options.flatten,
        filters=tuple((bool(include), text) for include, text in options.filters),
        properties=dict(options.properties),
        remove_tags=options.remove_tags,
        days=options.days,
        tier=options.tier,
        accelerate=settings.accelerate and not inside,
        ends=ends_of(settings),
        created=round(time.time(), 3),
        release=__version__,
    )


def _check_name(flag: str, value: object, names: tuple[str, ...], what: str) -> None:
    """Refuse a name that S3 would refuse of every single object."""
    try:
        if value:
            one_of(value, names, what)
    except ValueError as error:
        raise ConfigError(f"{flag} {error}", hint="haul plan --help shows what there is") from None


def _place(text: str) -> str:
    """Return a URL or a path as a job keeps it, the same wherever it is applied from."""
    end = parse(text)
    if isinstance(end, StdStream):
        raise ConfigError(
            "- is a stream, not a place with objects", hint="name s3://bucket/prefix/ or a directory"
        )
    if isinstance(end, LocalPath):
        return _absolute(end.path)
    if end.version_id:
        raise ConfigError(
            f"{text} names a version", hint="name versions in a manifest: bucket,key,version, one a line"
        )
    # A bucket without its slash stays as it is: what goes there gets no directory of its own.
    return str(end) if end.key or text.endswith("/") else str(end).rstrip("/")


def _absolute(path: str) -> str:
    """Return a path that does not depend on this directory; its last slash, URLs and ``""`` stay."""
    if not path or "://" in path:
        return path
    absolute = os.path.abspath(os.path.expanduser(path))
    return f"{absolute}/" if path.endswith("/") and absolute != "/" else absolute


def _speak_of_acceleration(specification: Specification, context: Context) -> None:
    if context.settings.accelerate and not specification.accelerate:
        context.emit(
            Warned("--accelerate is left out: AWS accelerates what goes up or down, not what stays inside S3")
        )


async def explain(options: Options, context: Context) -> int:
    """Say what the rules do with one key; with a source the object is asked for its properties."""
    rules = Rules.load(options.rules)
    key, base = options.explain, ""
    named = parse(key) if key.startswith("s3://") else None
    if isinstance(named, S3Url):
        key = named.key
    info, tags = ObjectInfo(key, -1, NEVER, "", ""), None
    if options.action:
        rules.check(Verb(options.action))
        if options.target:
            end = parse(options.target)
            base = end.key if isinstance(end, S3Url) else ""
        source = parse(options.place)
        if not isinstance(source, S3Url):
            raise ConfigError(
                f"{options.place} is a local path", hint="leave VERB and SOURCE out: the key says enough"
            )
        store = context.bucket(source, source=True)
        head = await store.head(key)
        info = ObjectInfo(key, head.size, head.last_modified or NEVER, head.etag, head.storage_class)
        tags = await store.get_tags(key) if rules.needs_tags else None
    explanation = rules.explain(info, time.time(), tags, base=base)
    if explanation.destination:
        # Without DESTINATION it is what rules make, which is what is known.
        explanation = explanation._replace(destination=base + explanation.destination)
    context.output.result(explanation)
    return exits.OK
