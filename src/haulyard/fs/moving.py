"""Copies and moves: single files at once, directories as jobs that a kill does not end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from haulyard.client.cancelling import cancelled_once
from haulyard.errors import Conflict, JobError, NotFound, PreconditionFailed, Unsupported
from haulyard.events import TransferDone
from haulyard.fs.conditions import ABSENT, explained
from haulyard.fs.directories import DirectoryCalls
from haulyard.fs.metrics import measured
from haulyard.fs.nodes import Relocated
from haulyard.fs.paths import plain
from haulyard.models import Encryption, PutOptions
from haulyard.transfer.copy import Copier
from haulyard.transfer.guard import guarded
from haulyard.transfer.items import Item, Job
from haulyard.transfer.removal import then_remove

if TYPE_CHECKING:
    from haulyard.events import Event
    from haulyard.fs.reading import Progress
    from haulyard.fs.volume import Volume
    from haulyard.jobs.async_job import AsyncJob
    from haulyard.models import ObjectHead

    Verb = Literal["copy", "move"]

#: What a copy inside the store loses unless it is said again, besides ACLs.
_KMS: Final = ("aws:kms", "aws:kms:dsse")


class MoveCalls(DirectoryCalls):
    """Copy and move files and directories."""

    @measured
    @cancelled_once
    async def copy_node(
        self, source: str, destination: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Relocated:
        """Copy a file or a directory inside the store: no byte passes through this machine.

        A file keeps its content type, metadata, tags and, unless the configuration names one, its storage
        class; files above 5 GiB are copied in parts. A directory is copied as a job: its plan and its journal
        lie in ``job_dir``, and the same call again after a kill goes on with it; files that came into the
        directory after its plan was made take another call. What is in the destination directory besides
        stays.

        Where a file and a directory have one name this is the file; a slash at the end means the directory.

        Args:
            source: The file or directory.
            destination: What the copy is called; it may exist.
            overwrite: Replace files that exist. Otherwise nothing that exists is touched.
            progress: Of a directory: is called with the bytes that are copied, and -1.

        Raises:
            NotFound: There is no such file or directory.
            PreconditionFailed: A file of that name exists, without ``overwrite``.
            SourceChanged: The file was replaced while it was copied.
            Conflict: Source and destination are one, or one lies in the other (directories).
            JobError: The directory has files that exist at the destination, without ``overwrite``; or
                somebody else copies it at this moment.
            TransferError: Some files of a directory failed; the same call tries them again.
            Unsupported: A directory with SSE-C: its key is in no journal. Copy its files one by one.
        """
        return await self._relocate("copy", source, destination, overwrite=overwrite, progress=progress)

    @measured
    @cancelled_once
    async def move_node(
        self, source: str, destination: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Relocated:
        """Move a file or a directory: copied, verified, and only then deleted where it was.

        A source is deleted only while it is what was copied (If-Match on its ETag). A directory is moved as a
        job, like `copy_node`: killed at any moment, every file is at one place or at both, and the same call
        again goes on. `undo` takes it back.

        Args:
            source: As in `copy_node`.
            destination: As in `copy_node`.
            overwrite: As in `copy_node`.
            progress: As in `copy_node`.

        Raises:
            SourceChanged: The file was replaced after it was copied; it was not deleted.
            HaulError: As `copy_node`.
        """
        return await self._relocate("move", source, destination, overwrite=overwrite, progress=progress)

    @measured
    @cancelled_once
    async def undo(self, job: str) -> Relocated:
        """Take back what a job of `copy_node` or `move_node` did to a directory, or go on with that.

        What was changed since is kept.

        Args:
            job: Its name, `Relocated.job`.

        Raises:
            JobError: There is no such job of this filesystem, or somebody works on it.
            TransferError: Some files failed; the same call tries them again.
        """
        from haulyard.jobs.async_job import AsyncJob  # jobs are rare, and cost 100 ms to load

        volume = self._volume
        undone = AsyncJob(volume.client, job)
        ours = undone.specification
        if not all(end.startswith(volume.uri(volume.prefix)) for end in (ours.source, ours.destination)):
            raise JobError(f"job {job} is none of {volume.uri(volume.prefix)}", hint="undo it with haul undo")
        with volume.cache.writing_below(""):
            tally = await undone.undo(on_event=_Moved(None))
        return Relocated(
            ours.source[len(volume.uri(volume.prefix)) :].rstrip("/"), tally.done, tally.bytes, job
        )

    async def _relocate(
        self, verb: Verb, source: str, destination: str, *, overwrite: bool, progress: Progress | None
    ) -> Relocated:
        volume = self._volume
        here, is_dir = plain(source, volume.prefix)
        there = plain(destination, volume.prefix).text
        if not is_dir:
            try:
                head = await volume.store.head(volume.prefix + here, volume.reading)
            except NotFound as error:
                if error.code == "NoSuchBucket":
                    raise
            else:
                return await self._relocate_file(verb, head, here, destination, overwrite=overwrite)
        return await self._relocate_directory(verb, here, there, overwrite=overwrite, progress=progress)

    async def _relocate_file(
        self, verb: Verb, head: ObjectHead, here: str, destination: str, *, overwrite: bool
    ) -> Relocated:
        volume = self._volume
        target = volume.file_key(destination)
        there = target[len(volume.prefix) :]
        if there == here:
            raise _conflict(volume, verb, f"{here} is its own destination", here)
        store = volume.store if verb == "copy" and overwrite else await volume.proved()
        options = volume.transfer_options(
            kept(volume, head), no_clobber=not overwrite, durable=verb == "move"
        )
        move = Copier(store, store, options, volume.emit)
        step = then_remove(move, store, store, options, volume.emit) if verb == "move" else move
        if not overwrite:
            step = guarded(step, store, store, options)
        job = Job(Item(head.key, head.size, etag=head.etag), target)
        with volume.cache.writing(*((here, there) if verb == "move" else (there,))):
            try:
                done = await step(job)
            except PreconditionFailed as error:
                raise await explained(volume, error, target, wanted=ABSENT) from error
        if done.action == "skip":
            exists = PreconditionFailed(
                "", store="s3", operation=verb, bucket=volume.config.bucket, key=target
            )
            raise await explained(volume, exists, target, wanted=ABSENT)
        return Relocated(there, 1, done.size, "", done.etag, done.version_id)

    async def _relocate_directory(
        self, verb: Verb, here: str, there: str, *, overwrite: bool, progress: Progress | None
    ) -> Relocated:
        volume = self._volume
        source, target = (f"{volume.prefix}{text}/" if text else volume.prefix for text in (here, there))
        if source.startswith(target) or target.startswith(source):
            raise _conflict(
                volume, verb, f"{here or 'the root'} and {there or 'the root'} lie in each other", here
            )
        if volume.customer_key is not None:
            raise Unsupported(
                f"a directory cannot be {'copied' if verb == 'copy' else 'moved'} under SSE-C: "
                "no journal holds the key",
                store="s3",
                operation=verb,
                bucket=volume.config.bucket,
                key=source,
                hint="copy_node or move_node for each file of scan()",
            )
        job = await self._job(verb, source, target)
        with volume.cache.writing_below(*((here, there) if verb == "move" else (there,))):
            tally = await job.apply(on_conflict="overwrite" if overwrite else "", on_event=_Moved(progress))
        return Relocated(there, tally.done, tally.bytes, job.name)

    async def _job(self, verb: Verb, source: str, target: str) -> AsyncJob:
        """Return the job that was begun by the same call, or plan a new one.

        Raises:
            NotFound: There is nothing to copy or move.
        """
        from haulyard.jobs.async_job import AsyncJob  # jobs are rare, and cost 100 ms to load
        from haulyard.jobs.model import Stage
        from haulyard.journal.folder import JobFolder, derived_name

        volume = self._volume
        ends = volume.uri(source), volume.uri(target)
        name = derived_name(f"fs-{verb}", *ends, volume.session.settings.endpoint_url)
        is_known = JobFolder.exists(volume.session.settings.job_dir, name)
        if is_known:
            begun = AsyncJob(volume.client, name)
            if (await begun.status()).stage == Stage.APPLYING:
                return begun
        try:
            return await AsyncJob.plan(
                volume.client,
                verb,
                *ends,
                name=name,
                new=is_known,
                raw=True,
                properties=_job_properties(volume),
                on_event=_Moved(None),
            )
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            raise self._nothing(source[len(volume.prefix) :].rstrip("/"), f"{verb}_node") from error


class _Moved:
    """A subscriber that tells how many bytes were moved."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._moved = 0

    def __call__(self, event: Event) -> None:
        if self._progress is not None and isinstance(event, TransferDone) and event.error is None:
            self._moved += event.size
            self._progress(self._moved, -1)


def kept(volume: Volume, head: ObjectHead) -> PutOptions:
    """Return what a copy of an object is told, for it to keep what copies lose."""
    config = volume.config
    encryption = config.encryption
    if encryption is None and head.encryption in _KMS:
        encryption = Encryption(head.encryption, kms_key_id=head.kms_key_id)
    return PutOptions(
        storage_class=config.storage_class or head.storage_class, encryption=encryption, acl=config.acl
    )


def rewritten(volume: Volume, head: ObjectHead, metadata: dict[str, str]) -> PutOptions:
    """Return what an object is told that is written over itself, with another ``metadata``."""
    return replace(
        kept(volume, head),
        content_type=head.content_type,
        content_encoding=head.content_encoding,
        content_disposition=head.content_disposition,
        content_language=head.content_language,
        cache_control=head.cache_control,
        expires=head.expires,
        metadata=metadata,
    )


def _job_properties(volume: Volume) -> dict[str, Any]:
    config = volume.config
    given = {"storage_class": config.storage_class, "acl": config.acl}
    if config.encryption is not None:
        given["sse"] = config.encryption.mode
        given["sse_kms_key_id"] = config.encryption.kms_key_id
    return {name: value for name, value in given.items() if value}


def _conflict(volume: Volume, verb: str, what: str, path: str) -> Conflict:
    return Conflict(
        f"{what}: nothing was done",
        store="s3",
        operation=f"{verb}_node",
        bucket=volume.config.bucket,
        key=volume.prefix + path,
        hint="name another destination",
    )
