"""`AsyncJob`: bulk jobs for programs with an event loop."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, Self

from haulyard._version import __version__
from haulyard.client.arguments import patterns_of
from haulyard.client.session import both, session_of
from haulyard.config.ends import ends_of
from haulyard.errors import ConfigError, TransferError
from haulyard.jobs import conduct
from haulyard.jobs.applying.options import ApplyOptions, Tally
from haulyard.jobs.model import Verb
from haulyard.jobs.planning.summary import PlanSummary
from haulyard.jobs.reporting import Reported, write_report
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.jobs.status import JobStatus, status_of
from haulyard.journal.folder import JobFolder
from haulyard.transfer.options import TransferOptions
from haulyard.url import LocalPath, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from haulyard.client.arguments import Patterns, StrPath
    from haulyard.client.async_client import AsyncClient
    from haulyard.config import Settings
    from haulyard.events import Emit, TransferDone
    from haulyard.jobs.undoing.past import Survey

    OnConflict = Literal["", "fail", "skip", "overwrite", "suffix"]


class AsyncJob:
    """One bulk job in its folder: planned once, applied until nothing is left, undone if need be.

    Every method that works takes the job's lock, and can be called again after it was cancelled or its
    program killed: it goes on where it was.

    Args:
        client: Whose settings and keys are used. The job opens connections of its own.
        name: A job that `plan` made.
        directory: Where jobs are kept; by default the setting ``job_dir``.

    Raises:
        JobError: There is no such job, or its folder is damaged.
    """

    def __init__(self, client: AsyncClient, name: str, *, directory: StrPath = "") -> None:
        self._session = session_of(client)
        self._folder = JobFolder.open(_directory(self._session.settings, directory), name)
        self._specification = Specification.from_json(self._folder.specification)

    @classmethod
    async def plan(  # noqa: PLR0913 -- the keywords are the flags of `haul plan`
        cls,
        client: AsyncClient,
        verb: Literal["copy", "move", "delete", "restore", "retag"],
        source: StrPath,
        destination: StrPath = "",
        *,
        rules: Rules | StrPath | None = None,
        name: str = "",
        new: bool = False,
        manifest: StrPath = "",
        recursive: bool = False,
        raw: bool = False,
        include: Patterns = (),
        exclude: Patterns = (),
        properties: Mapping[str, Any] | None = None,
        remove_tags: tuple[str, ...] = (),
        days: int | None = None,
        tier: Literal["Standard", "Bulk", "Expedited"] = "Standard",
        directory: StrPath = "",
        prices: StrPath = "",
        on_event: Emit | None = None,
    ) -> Self:
        """Find out what a job would do, and write it down; nothing is changed in any store.

        The same arguments again mean the same job: an unfinished plan is finished, a finished one is kept.

        Args:
            client: As in `AsyncJob`.
            verb: What is done with the objects.
            source: ``s3://bucket/prefix/``, a wildcard, an object, or a directory.
            destination: Of copy and move, what the keys that the rules make are appended to; by default the
                root of the source's bucket.
            rules: Rules, or the path of their file. Without any, keys are mapped as by `AsyncClient.copy`.
            name: Of the job; by default one that follows from the other arguments.
            new: List again. A plan of that name is forgotten; a job that has done something is kept as
                ``NAME-1``, and can be undone under that name.
            manifest: A list of keys, a CSV of S3 Batch Operations or the ``manifest.json`` of an S3
                Inventory, instead of a listing.
            recursive: Take what is below a prefix that does not end in a slash.
            raw: ``*`` and ``?`` in the source are no wildcards but these characters.
            include: Patterns of relative keys that take part; empty for all.
            exclude: Patterns of relative keys that do not.
            properties: What every destination gets: ``storage_class``, ``metadata``, ``tags``, ``acl``,
                ``content_type`` …, ``sse`` and ``sse_kms_key_id``.
            remove_tags: Keys of tags that objects lose.
            days: For restore: how long the copies stay (1).
            tier: For restore: how fast.
            directory: As in `AsyncJob`.
            prices: A file of prices to be used instead of AWS's list prices.
            on_event: Is called with every event of planning (`haulyard.events`).

        Raises:
            NotFound: There is nothing under the source.
            ConfigError: Arguments or rules make no sense; `RulesError` names every mistake in the rules.
            JobError: There is another job of that name, or somebody works on this one.
        """
        session = session_of(client)
        settings = session.settings
        text, rules_name = await asyncio.to_thread(_rules_text, rules)
        specification = Specification(
            verb=_verb(verb),
            source=_absolute(source),
            destination=_absolute(destination) if destination else "",
            rules=text,
            rules_name=rules_name,
            manifest=_absolute(manifest) if manifest else "",
            recursive=recursive,
            raw=raw,
            filters=tuple((each.include, each.text) for each in patterns_of(include, exclude)),
            properties=dict(properties or {}),
            remove_tags=tuple(remove_tags),
            days=days,
            tier=tier,
            accelerate=settings.accelerate,
            ends=ends_of(settings),
            created=time.time(),
            release=__version__,
        )
        created = await asyncio.to_thread(
            conduct.create, _directory(settings, directory), specification, name, new=new
        )
        job = cls(client, created.folder.name, directory=directory)
        async with job._surroundings(on_event) as surroundings:
            await conduct.plan(created.folder, surroundings, prices=os.fspath(prices))
        return job

    @property
    def name(self) -> str:
        """What the job is called; `haul status` and the others take it."""
        return self._folder.name

    @property
    def path(self) -> str:
        """The directory of the job: its plan, its journal, its report."""
        return self._folder.path

    @property
    def specification(self) -> Specification:
        """What was asked for."""
        return self._specification

    async def summary(self) -> PlanSummary:
        """Return what the plan comes to: objects and bytes per rule, conflicts, requests and their price.

        Raises:
            JobError: The plan is not finished.
        """
        content = await asyncio.to_thread(self._folder.read, "summary")
        return PlanSummary.from_json(content or {})

    async def status(self) -> JobStatus:
        """Return how far the job is; it may be running in another process."""
        return await asyncio.to_thread(status_of, self._folder)

    async def apply(
        self,
        *,
        on_conflict: OnConflict = "",
        verify: Literal["", "checksum"] = "",
        processes: int = 1,
        max_errors: int | None = None,
        rate: float = 0.0,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> Tally:
        """Carry the plan out, or go on with it.

        Args:
            on_conflict: What becomes of objects whose destination others have too, or is taken: ``fail``,
                ``skip``, ``overwrite`` or ``suffix``. Needed once where the plan has any.
            verify: ``checksum`` reads contents again where the stores state no checksums that compare.
            processes: How many share the work. More than one needs a program that can be imported (an
                ``if __name__ == "__main__"``), as for `multiprocessing`.
            max_errors: End when more objects than this have failed; None for never.
            rate: The most requests a second; 0 for as many as the store takes.
            check: Raise TransferError where objects failed.
            on_event: Is called with every event, `haulyard.TransferDone` for each object among them.

        Returns:
            What became of this run: done, skipped and failed objects, bytes, seconds.

        Raises:
            JobError: The plan has conflicts and ``on_conflict`` is not given, or it is not finished, was
                undone, is damaged, or somebody works on it.
            S3PermissionError: Something that the job needs is denied; nothing was changed.
            TransferError: Some objects failed; the others are done.
        """
        options = ApplyOptions(on_conflict, verify, max_errors, self._settings.concurrency, self._transfer())
        async with self._surroundings(on_event, rate=rate) as surroundings:
            tally = await conduct.apply(self._folder, options, surroundings, processes=processes, rate=rate)
        return _checked(tally, self.name, "apply") if check else tally

    async def survey_undo(self) -> Survey:
        """Return what undoing the job would take back and what it could not, from the journal alone.

        Raises:
            JobError: It has not been applied, or is damaged.
        """
        return await asyncio.to_thread(conduct.survey_undo, self._folder)

    async def undo(self, *, check: bool = True, on_event: Emit | None = None) -> Tally:
        """Take back exactly what the job did, or go on with that; what changed since is kept.

        Args:
            check: Raise TransferError where objects failed.
            on_event: As in `apply`.

        Returns:
            What became of this run; ``skipped`` are objects that were kept as they are.

        Raises:
            JobError: It has not been applied, is damaged, or somebody works on it.
            TransferError: Some objects failed; undoing again goes on with them.
        """
        options = ApplyOptions(concurrency=self._settings.concurrency, transfer=self._transfer())
        async with self._surroundings(on_event) as surroundings:
            tally = await conduct.undo(self._folder, options, surroundings)
        return _checked(tally, self.name, "undo") if check else tally

    async def report(self) -> Reported:
        """Write ``report.html``, ``report.json`` and ``completion.csv`` into ``report/`` in the job's folder.

        Raises:
            ConfigError: It cannot be written.
        """
        return await asyncio.to_thread(write_report, self._folder, emit=self._session.emit)

    @property
    def _settings(self) -> Settings:
        return conduct.settings_for(self._specification, self._session.settings)

    def _transfer(self) -> TransferOptions:
        settings = self._settings
        required_only = settings.request_checksum_calculation == "when_required"
        return TransferOptions(
            part_size=settings.part_size,
            state_dir=settings.state_dir,
            algorithm="none" if required_only else settings.checksum_algorithm,
            durable=self._specification.verb is Verb.MOVE,
        )

    @asynccontextmanager
    async def _surroundings(
        self, on_event: Emit | None, *, rate: float = 0.0
    ) -> AsyncIterator[conduct.Surroundings]:
        settings, emit = self._settings, both(self._session.emit, on_event)
        source_settings = settings.for_source()

        def report(outcome: TransferDone) -> None:
            emit(outcome)

        async with self._session.separate(settings, rate=rate) as connection:
            if source_settings is settings:
                yield conduct.Surroundings(connection, connection, emit, report)
                return
            async with self._session.separate(source_settings, rate=rate) as source_connection:
                yield conduct.Surroundings(connection, source_connection, emit, report)


def _verb(word: str) -> Verb:
    try:
        return Verb(word)
    except ValueError:
        raise ConfigError(
            f"{word!r} is nothing that a job does", hint=f"it is one of {', '.join(Verb)}"
        ) from None


def _directory(settings: Settings, directory: StrPath) -> str:
    return os.path.abspath(os.fspath(directory) or settings.job_dir)


def _absolute(end: StrPath) -> str:
    """Return a URL as it is, a path as it is understood from any directory."""
    text = os.fspath(end)
    return os.path.abspath(text) if isinstance(parse(text), LocalPath) else text


def _rules_text(rules: Rules | StrPath | None) -> tuple[str, str]:
    if rules is None:
        return "", ""
    if not isinstance(rules, Rules):
        rules = Rules.load(os.fspath(rules))
    return rules.text, rules.name


def _checked(tally: Tally, name: str, verb: str) -> Tally:
    if tally.failed:
        raise TransferError(
            f"{tally.failed} objects of job {name} failed, {tally.done} were done",
            failed=tally.failed,
            hint=f"their reasons are in its journal (report); {verb} again tries them again",
        )
    return tally
