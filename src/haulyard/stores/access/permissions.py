"""Which calls the caller may make: each is tried, on objects of our own, and what came of it is told."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar

from haulyard.errors import (
    AccessDenied,
    NotFound,
    S3ArchivedError,
    S3AuthError,
    S3Error,
    S3NetworkError,
    S3RegionError,
    StoreError,
    Unsupported,
)
from haulyard.events import ignore
from haulyard.models import ByteRange, CopySource, DeleteItem, DeleteOptions, GetOptions, ListOptions
from haulyard.stores.access.leftovers import noted, remove_leftovers
from haulyard.stores.access.space import ProbeSpace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit
    from haulyard.stores.base import Store

    #: Makes a bare HEAD request of a URL, without our credentials, and returns the status.
    Fetch = Callable[[str], Awaitable[int]]

Result = TypeVar("Result")
Outcome = Literal["ok", "denied", "unsupported", "error", "unknown"]


class Probe(NamedTuple):
    """What came of trying one call.

    ``operation`` is S3's name of the call (``PutObject``), ``action`` the IAM action that it needs,
    ``commands`` are those that make the call. ``outcome`` is ``unknown`` where there was nothing to try the
    call on; ``detail`` says why, or what the store answered.
    """

    operation: str
    action: str
    commands: tuple[str, ...]
    outcome: Outcome
    detail: str = ""


class _Call(NamedTuple):
    action: str
    commands: str


_TRANSFERS: Final = "cp mv sync"
_CALLS: Final = {
    "ListObjectsV2": _Call("s3:ListBucket", "ls du sync rm cp mv"),
    "ListObjectVersions": _Call("s3:ListBucketVersions", "ls rm"),
    "ListMultipartUploads": _Call("s3:ListBucketMultipartUploads", f"uploads {_TRANSFERS}"),
    "PutObject": _Call("s3:PutObject", f"put {_TRANSFERS}"),
    "HeadObject": _Call("s3:GetObject", f"head {_TRANSFERS}"),
    "GetObject": _Call("s3:GetObject", f"cat {_TRANSFERS}"),
    "PresignedUrl": _Call("s3:GetObject", "presign"),
    "GetObjectTagging": _Call("s3:GetObjectTagging", f"head {_TRANSFERS}"),
    "PutObjectTagging": _Call("s3:PutObjectTagging", f"put {_TRANSFERS}"),
    "GetObjectAcl": _Call("s3:GetObjectAcl", "head"),
    "PutObjectAcl": _Call("s3:PutObjectAcl", f"put {_TRANSFERS}"),
    "CopyObject": _Call("s3:PutObject", _TRANSFERS),
    "CreateMultipartUpload": _Call("s3:PutObject", f"put {_TRANSFERS}"),
    "UploadPart": _Call("s3:PutObject", f"put {_TRANSFERS}"),
    "ListParts": _Call("s3:ListMultipartUploadParts", _TRANSFERS),
    "AbortMultipartUpload": _Call("s3:AbortMultipartUpload", f"uploads put {_TRANSFERS}"),
    "DeleteObjects": _Call("s3:DeleteObject", "rm sync"),
    "DeleteObject": _Call("s3:DeleteObject", "rm mv"),
    "DeleteObjectVersion": _Call("s3:DeleteObjectVersion", "rm"),
}

_BODY: Final = b"Written by haul doctor to learn what is allowed here; it may be deleted."
_NOT_OFFERED: Final = frozenset(("NotImplemented", "MethodNotAllowed", "AccessControlListNotSupported"))
_FORBIDDEN: Final = frozenset((401, 403))
_NOTHING: Final = "there is no object to try it on"
_NOT_WRITTEN: Final = "nothing could be written to try it on"


async def check_access(
    store: Store,
    *,
    below: str = "",
    read_only: bool = False,
    fetch: Fetch | None = None,
    emit: Emit = ignore,
    state_dir: str = "",
) -> list[Probe]:
    """Try every call that the commands make, in or on keys below ``below``, and return what came of each.

    ``read_only`` makes only calls that write nothing; what is read is then the first object that a listing
    finds. What is written lies below ``<below>.haul-probe-<random>/`` and is removed at the end. ``fetch``
    is needed to try a presigned URL. With ``state_dir`` (the setting) what a killed process has left is
    removed first, and the next one can do so for this one.

    Raises:
        S3Error: No call could be made at all (no such bucket, wrong credentials, no answer).
    """
    check = _Check(store, below, fetch)
    await check.lists()
    if read_only:
        await check.reads(check.found)
        return check.probes
    if state_dir:
        await remove_leftovers(state_dir, store)
    space = ProbeSpace(store, below, emit)
    with noted(state_dir, store, space.prefix) if state_dir else nullcontext():
        async with space:
            await check.writes(space)
    return check.probes


class _Check:
    """Tries calls, each at most once, and remembers what came of them."""

    def __init__(self, store: Store, below: str, fetch: Fetch | None) -> None:
        self.probes: list[Probe] = []
        self.found = ""
        """A key that a listing found."""
        self._store = store
        self._below = below
        self._fetch = fetch

    async def lists(self) -> None:
        """Try the listings."""
        await self._try("ListObjectsV2", self._first_key)
        if self._store.capabilities.versions:
            await self._try("ListObjectVersions", self._list_versions)
        else:
            self._tell("ListObjectVersions", "unsupported")
        await self._try("ListMultipartUploads", self._list_uploads)

    async def reads(self, key: str) -> None:
        """Try what reads one object, ``""`` where there is none."""
        store = self._store
        first = GetOptions(range=ByteRange(0, 1), want_checksum=False)
        await self._read("HeadObject", key, lambda: store.head(key))
        await self._read("GetObject", key, lambda: self._get(key, first))
        await self._read("GetObjectTagging", key, lambda: store.get_tags(key))
        await self._read("GetObjectAcl", key, lambda: store.get_acl(key))
        if self._fetch is not None:
            await self._read("PresignedUrl", key, lambda: self._use_url(key))

    async def writes(self, space: ProbeSpace) -> None:
        """Try everything else, and reading on what was written."""
        written = await self._try("PutObject", lambda: space.put("object", _BODY))
        await self.reads(space.key("object") if written else self.found)
        await self._parts(space)
        if written is None:
            for operation in ("PutObjectTagging", "PutObjectAcl", "CopyObject"):
                self._tell(operation, "unknown", _NOT_WRITTEN)
        else:
            await self._change(space)
        await self._delete(space)

    async def _change(self, space: ProbeSpace) -> None:
        store, key = self._store, space.key("object")
        source = CopySource(store.bucket, key)
        await self._try("PutObjectTagging", lambda: store.set_tags(key, {"haul": "probe"}))
        await self._try("PutObjectAcl", lambda: store.set_acl(key, "private"))
        await self._try("CopyObject", lambda: space.copy(source, "copy"))

    async def _parts(self, space: ProbeSpace) -> None:
        store, key = self._store, space.key("parts")
        upload_id = await self._try("CreateMultipartUpload", lambda: space.create_multipart("parts"))
        if upload_id is None:
            for operation in ("UploadPart", "ListParts", "AbortMultipartUpload"):
                self._tell(operation, "unknown", _NOT_WRITTEN)
            return
        await self._try("UploadPart", lambda: store.put_part(key, upload_id, 1, _BODY))
        await self._try("ListParts", lambda: self._list_parts(key, upload_id))
        await self._try("AbortMultipartUpload", lambda: space.abort_multipart(upload_id))

    async def _delete(self, space: ProbeSpace) -> None:
        """Try to delete: what was written, or where nothing was, keys that are not there."""
        store = self._store
        await self._try("DeleteObjects", lambda: self._delete_batch(space))
        outcome = await self._try("DeleteObject", lambda: space.delete("object"))
        if outcome is None or not outcome.marker_version_id:
            detail = "the bucket keeps no versions" if outcome else _NOT_WRITTEN
            self._tell("DeleteObjectVersion", "unknown", detail)
            return
        options = DeleteOptions(version_id=outcome.marker_version_id)
        await self._try("DeleteObjectVersion", lambda: store.delete(outcome.key, options))

    async def _read(self, operation: str, key: str, call: Callable[[], Awaitable[object]]) -> None:
        if key:
            await self._try(operation, call)
        else:
            self._tell(operation, "unknown", _NOTHING)

    async def _try(self, operation: str, call: Callable[[], Awaitable[Result]]) -> Result | None:
        """Make a call and tell what came of it; raises what no other call would survive."""
        try:
            result = await call()
        except AccessDenied as error:
            self._tell(operation, "denied", str(error))
        except Unsupported as error:
            self._tell(operation, "unsupported", str(error))
        except S3ArchivedError as error:
            # Who may not read at all is not told that the object is archived.
            self._tell(operation, "ok", str(error))
        except S3Error as error:
            if _concerns_all(error):
                raise
            self._tell(operation, "unsupported" if error.code in _NOT_OFFERED else "error", str(error))
        except StoreError as error:
            self._tell(operation, "error", str(error))
        else:
            self._tell(operation, "ok")
            return result
        return None

    def _tell(self, operation: str, outcome: Outcome, detail: str = "") -> None:
        action, commands = _CALLS[operation]
        self.probes.append(Probe(operation, action, tuple(commands.split()), outcome, detail))

    async def _first_key(self) -> None:
        async for page in self._store.list(self._below, ListOptions(page_size=1)):
            for info in page.objects:
                self.found = info.key
            return

    async def _list_versions(self) -> None:
        async for _ in self._store.list_versions(self._below, ListOptions(page_size=1)):
            return

    async def _list_uploads(self) -> None:
        async for _ in self._store.list_uploads(self._below):
            return

    async def _list_parts(self, key: str, upload_id: str) -> None:
        async for _ in self._store.list_parts(key, upload_id):
            return

    async def _get(self, key: str, options: GetOptions) -> None:
        async with await self._store.get(key, options) as reader:
            await reader.read()

    async def _use_url(self, key: str) -> None:
        url = await self._store.presign("HEAD", key, 60)
        status = await self._fetch(url) if self._fetch else 0
        if status in _FORBIDDEN:
            raise AccessDenied(f"the presigned URL was answered with status {status}")
        if not 200 <= status < 300:  # noqa: PLR2004 -- HTTP's successes
            raise StoreError(f"the presigned URL was answered with status {status}")

    async def _delete_batch(self, space: ProbeSpace) -> None:
        items = [DeleteItem(space.key(name)) for name in ("copy", "absent")]
        for outcome in await space.delete_batch(items):
            if outcome.error is not None:
                raise outcome.error


def _concerns_all(error: S3Error) -> bool:
    """Whether the call failed for a reason that has nothing to do with what was called."""
    if isinstance(error, NotFound):
        return error.code == "NoSuchBucket"
    return isinstance(error, (S3AuthError, S3NetworkError, S3RegionError))
