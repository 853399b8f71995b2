"""`Job`: what `AsyncJob` does, for programs without an event loop.

Every method is one call into the client's loop; what it does, raises and returns is said there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from haulyard.client.client import inside
from haulyard.jobs.async_job import AsyncJob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.client.arguments import Patterns, StrPath
    from haulyard.client.client import Client
    from haulyard.events import Emit
    from haulyard.jobs.applying.options import Tally
    from haulyard.jobs.async_job import OnConflict
    from haulyard.jobs.planning.summary import PlanSummary
    from haulyard.jobs.reporting import Reported
    from haulyard.jobs.rules import Rules
    from haulyard.jobs.specification import Specification
    from haulyard.jobs.status import JobStatus
    from haulyard.jobs.undoing.past import Survey


class Job:
    """One bulk job in its folder, for programs without an event loop; see `AsyncJob`.

    Args:
        client: As in `AsyncJob`, a `Client` here.
        name: As in `AsyncJob`.
        directory: As in `AsyncJob`.

    Raises:
        JobError: There is no such job, or its folder is damaged.

    Example:
        >>> with Client() as client:
        ...     job = Job.plan(client, "move", "s3://demo/in/", "s3://demo/", rules="rules.toml")
        ...     print(job.summary().text())
        ...     job.apply(on_conflict="suffix")
    """

    def __init__(self, client: Client, name: str, *, directory: StrPath = "") -> None:
        driven, self._portal = inside(client)
        self._job = AsyncJob(driven, name, directory=directory)

    @classmethod
    def plan(  # noqa: PLR0913 -- the keywords are the flags of `haul plan`
        cls,
        client: Client,
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
        """Find out what a job would do, and write it down; as `AsyncJob.plan`."""
        driven, portal = inside(client)
        planned = portal.call(
            AsyncJob.plan,
            driven,
            verb,
            source,
            destination,
            rules=rules,
            name=name,
            new=new,
            manifest=manifest,
            recursive=recursive,
            raw=raw,
            include=include,
            exclude=exclude,
            properties=properties,
            remove_tags=remove_tags,
            days=days,
            tier=tier,
            directory=directory,
            prices=prices,
            on_event=on_event,
        )
        return cls(client, planned.name, directory=directory)

    @property
    def name(self) -> str:
        """What the job is called; `haul status` and the others take it."""
        return self._job.name

    @property
    def path(self) -> str:
        """The directory of the job: its plan, its journal, its report."""
        return self._job.path

    @property
    def specification(self) -> Specification:
        """What was asked for."""
        return self._job.specification

    def summary(self) -> PlanSummary:
        """Return what the plan comes to; as `AsyncJob.summary`."""
        return self._portal.call(self._job.summary)

    def status(self) -> JobStatus:
        """Return how far the job is; as `AsyncJob.status`."""
        return self._portal.call(self._job.status)

    def apply(
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
        """Carry the plan out, or go on with it; as `AsyncJob.apply`."""
        return self._portal.call(
            self._job.apply,
            on_conflict=on_conflict,
            verify=verify,
            processes=processes,
            max_errors=max_errors,
            rate=rate,
            check=check,
            on_event=on_event,
        )

    def survey_undo(self) -> Survey:
        """Return what undoing the job would take back; as `AsyncJob.survey_undo`."""
        return self._portal.call(self._job.survey_undo)

    def undo(self, *, check: bool = True, on_event: Emit | None = None) -> Tally:
        """Take back exactly what the job did; as `AsyncJob.undo`."""
        return self._portal.call(self._job.undo, check=check, on_event=on_event)

    def report(self) -> Reported:
        """Write the report of the job; as `AsyncJob.report`."""
        return self._portal.call(self._job.report)
