"""`Plan`: what a finished plan says, for programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from haulyard.config import resolve
from haulyard.errors import ConfigError, JobError
from haulyard.jobs.inventory import check_shards
from haulyard.jobs.model import FALLBACK, NO_RULE, Action, Operation, Stage
from haulyard.jobs.plan import export, query
from haulyard.jobs.planning.summary import PlanSummary
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard
from haulyard.url import LocalPath, S3Url, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO

    from haulyard.jobs.plan.query import Answer

    StrPath = str | os.PathLike[str]

_UNFINISHED = {Stage.PLANNING, Stage.LISTED}


class Plan:
    """A finished plan, only to be read; a job that is being applied can be looked at, too.

    Every row is checked against its seal before it is given out: a plan that was tampered with is refused.
    Nothing here touches a store, and memory does not grow with the plan.
    """

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self.specification = Specification.from_json(folder.specification)
        """What the job is to do."""
        state = folder.read("state") or {}
        if Stage(state.get("stage", Stage.PLANNING)) in _UNFINISHED:
            raise JobError(
                f"the plan of job {folder.name} is not finished",
                hint="finish it with the same haul plan again",
            )
        check_shards(folder, state)
        self._labels: tuple[str, ...] = ()
        if self.specification.rules:
            name = self.specification.rules_name or "rules.toml"
            rules = Rules.parse(self.specification.rules, name).rules
            self._labels = tuple(rule.name or str(rule.index + 1) for rule in rules)

    @classmethod
    def open(cls, name: str, directory: StrPath = "") -> Plan:
        """Open the plan of a job.

        Args:
            name: The job's.
            directory: Where jobs are kept; by default the setting ``job_dir``.

        Raises:
            JobError: There is no such job, its plan is not finished, or it is damaged.
        """
        where = os.fspath(directory) or resolve({}, os.environ, os.getcwd()).job_dir
        return cls(JobFolder.open(where, name))

    @property
    def name(self) -> str:
        """The job's name."""
        return self._folder.name

    @property
    def path(self) -> str:
        """The job's directory."""
        return self._folder.path

    @property
    def summary(self) -> PlanSummary:
        """What the plan comes to: objects and bytes per rule, conflicts, requests and their price.

        Raises:
            JobError: The summary is missing or damaged.
        """
        content = self._folder.read("summary")
        if content is None:
            raise JobError(
                f"the summary of job {self.name} is missing",
                hint="restore summary.json, or start over with --new",
            )
        return PlanSummary.from_json(content)

    def rule(self, index: int) -> str:
        """Return what the rule of an operation is called: its name, or its number from 1.

        ``fallback`` where no rule took the object, ``""`` where there are no rules or none is responsible.
        """
        if index == FALLBACK:
            return "fallback"
        if index == NO_RULE or index >= len(self._labels):
            return ""
        return self._labels[index]

    def operations(self, actions: Collection[Action | str] | None = None) -> Iterator[Operation]:
        """Yield all that was listed, one operation an object, in the order of the plan.

        Those whose order matters come last, by their waves, with the action that they have in the end.

        Args:
            actions: Only operations with these, `Action` or its word (``act``, ``unmatched`` …).

        Raises:
            ConfigError: There is no action of that word.
            JobError: The plan is damaged.
        """
        wanted = set(Action) if actions is None else {_action(each) for each in actions}
        wanted.discard(Action.ORDERED)
        return (operation for _, page in self._pages(wanted) for operation in map(Operation._make, page))

    def query(self, sql: str) -> Answer:
        """Ask the plan, and what became of it, with one SQL statement that only reads.

        ============  =======================================================================================
        table         columns
        ============  =======================================================================================
        ``plan``      ``shard id action rule key version size modified etag storage_class destination wave
                      conflict present``: one row an object
        ``journal``   ``shard id phase at details``: the last that was written down of an operation
        ``outcome``   all columns of ``plan`` with ``phase at details``, NULL where nothing was written down;
                      ``destination`` is where the object went, which a suffix may have made another name
        ============  =======================================================================================

        ``rule`` is what `rule` returns. ``size`` is in bytes, ``modified`` and ``at`` are POSIX seconds, NULL
        where the source did not say. ``details`` is JSON: ``details ->> '$.etag'``. The others:

        ============  =======================================================================================
        column        values
        ============  =======================================================================================
        ``action``    worked on: ``act``, ``folder`` (a placeholder that the rules ask for; its ``key`` is
                      ``''``). Left alone: ``in-place``, ``skipped``, ``unmatched``, ``unsafe``, ``cycle``,
                      ``marker``
        ``conflict``  ``none``; ``collision``: several sources have this destination; ``exists``: another
                      object is at the destination; ``same``: the same content is there, or, where ``action``
                      is ``skipped``, the object was listed before. ``collision`` and ``exists`` need a
                      decision before `apply`
        ``wave``      the order among rows whose order matters: none begins before those of the waves before
                      it have ended. 0 where it does not matter, and for those that come first
        ``present``   the ETag of what was at the destination when the plan was made, ``''`` where nothing was
        ``phase``     ``copied``, ``done``, ``failed``, ``skipped``; of an undo ``returned`` (copied back),
                      ``undone``, ``kept`` (left as it is)
        ============  =======================================================================================

        The tables are filled when they are asked for, which takes some seconds for a million rows.

        Raises:
            ConfigError: The statement is wrong, or would write.
            JobError: The plan or the journal is damaged, or there is no room for temporary files.
        """
        return query.ask(sql, self._folder.shard_paths(), self.rule)

    def export(self, file: StrPath | BinaryIO, format: str) -> int:  # noqa: A002 -- what the flag is called
        """Write the plan to a file, or to one that is open for bytes, and return the number of rows.

        ``s3-batch`` is a manifest for S3 Batch Operations: bucket, key and, where the plan has versions,
        version, of all objects that are acted on. ``csv`` and ``parquet`` have all columns of the table
        ``plan`` (see `query`) for all objects; ``modified`` is a time there. Values in the CSV are exact: a
        program that takes ``=1+1`` for a formula has to be told to take it for a text.

        A file of this name appears when it is complete.

        Raises:
            ConfigError: There is no such format, the file cannot be written, pyarrow is missing for
                ``parquet``; for ``s3-batch``: the source is no bucket, or only some rows have versions.
            JobError: The plan is damaged.
        """
        if format not in export.FORMATS:
            raise ConfigError(
                f"there is no format {format}", hint=f"the formats are {', '.join(export.FORMATS)}"
            )
        with export.opened(file) as stream:
            if format == "s3-batch":
                rows = (row for _, page in self._pages({Action.ACT}) for row in page)
                return export.write_manifest(stream, self._bucket(), rows)
            writer = export.write_csv if format == "csv" else export.write_parquet
            return writer(stream, self._pages(set(Action) - {Action.ORDERED}), self.rule)

    def _pages(self, actions: set[Action]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Yield the names of shards with pages of their rows that have these actions."""
        numbers = ", ".join(str(each.value) for each in sorted(actions))
        for path in self._folder.shard_paths():
            with Shard.open(path, owner="plan", read_only=True) as shard:
                for page in shard.rows(where=f"action IN ({numbers})"):
                    yield query.name_of(path), page

    def _bucket(self) -> str:
        end = parse(self.specification.source)
        if isinstance(end, S3Url):
            return end.bucket
        what = end.path if isinstance(end, LocalPath) else self.specification.source
        raise ConfigError(
            f"{what} is no bucket, and S3 Batch Operations works on buckets only", hint="export it as csv"
        )


def _action(wanted: Action | str) -> Action:
    if isinstance(wanted, Action):
        return wanted
    for action in Action:
        if action.word == wanted:
            return action
    words = ", ".join(each.word for each in Action)
    raise ConfigError(f"there is no action {wanted}", hint=f"the actions are {words}")
