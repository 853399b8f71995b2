"""Proves what an endpoint honours: some stores accept a condition, ignore it, and act.

Each experiment asks for something that has to be refused, and for its counterpart that has to succeed. The
store honours what it is asked only if both come out right.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from haulyard.checksums import compute
from haulyard.errors import (
    AccessDenied,
    HaulError,
    IntegrityError,
    PreconditionFailed,
    S3Conflict,
    S3GenericError,
    S3IntegrityError,
    S3ServerError,
    Unsupported,
)
from haulyard.events import Warned, ignore
from haulyard.models import Checksum, CopyOptions, CopySource, DeleteItem, DeleteOptions, PutOptions
from haulyard.stores.access.leftovers import noted, remove_leftovers
from haulyard.stores.access.record import EndpointRecord
from haulyard.stores.access.space import ProbeSpace, together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit
    from haulyard.stores.base import Capabilities
    from haulyard.stores.s3 import S3Store

    Experiment = Callable[[ProbeSpace], Awaitable[bool]]

_BODY: Final = b"Written by haul to learn what this store can do; it may be deleted."
_OTHER_ETAG: Final = "00000000000000000000000000000000"
_OTHER_CHECKSUM: Final = Checksum("CRC64NVME", "AAAAAAAAAAA=")
_CREATE_ONLY: Final = PutOptions(if_none_match="*")
#: Chosen so that every order but that of UTF-8 bytes shows: directories first (SeaweedFS), UTF-16 (where
#: U+1F600 sorts before U+FF5E), without regard to case, by locale.
_ORDERED: Final = ("B", "a b", "a-b", "a.txt", "a/b", "a0", "aB", "ab", "\uff5e", "\U0001f600")


async def prove(
    store: S3Store,
    state_dir: str,
    emit: Emit = ignore,
    *,
    endpoint: str,
    below: str = "",
    may_write: bool = True,
    anew: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Capabilities:
    """Return the capabilities of ``store`` with nothing unproved, as far as the store lets us find out.

    Asks the store only for what is neither known (AWS) nor remembered: about fifty small requests, once in
    thirty days for each ``endpoint`` (its URL), on objects below ``below`` that are removed again. With
    ``may_write`` False nothing is asked, only remembered; with ``anew`` what is remembered is not believed.
    What the probes are denied stays None, which callers take the cautious way for, is told as a `Warned`,
    and is not remembered.

    Raises:
        S3Error: The bucket is missing, credentials are wrong, the endpoint does not answer.
    """
    capabilities = store.capabilities
    unproved = [name for name in EXPERIMENTS if getattr(capabilities, name) is None]
    if not unproved:
        return capabilities
    record = EndpointRecord(state_dir, endpoint)
    known = None if anew else record.read(now())
    if known is None or not known.keys() >= set(unproved):
        if not may_write:
            return capabilities
        with suppress(AccessDenied, S3GenericError):
            # Whether the bucket can be reached is asked of the bucket, not by way of a probe's name.
            await store.client.head_bucket(store.bucket)
        await remove_leftovers(state_dir, store)
        known = await _experiment(store, unproved, emit, below, state_dir)
        if known.keys() >= set(unproved):
            _remember(record, known, now(), emit)
    return replace(capabilities, **{name: known[name] for name in unproved if name in known})


async def _experiment(
    store: S3Store, names: list[str], emit: Emit, below: str, state_dir: str
) -> dict[str, bool]:
    """Return what came out; what could not be found out is missing."""
    space = ProbeSpace(_daring(store), below, emit)
    with noted(state_dir, store, space.prefix):
        return await _experiment_in(space, store, names, emit)


async def _experiment_in(space: ProbeSpace, store: S3Store, names: list[str], emit: Emit) -> dict[str, bool]:
    async with space:
        try:
            # Where deleting is denied, probes would stay behind: asked first, on a key that is not there.
            await space.delete("absent")
        except AccessDenied as error:
            emit(_unproved(store, error))
            return {}
        verdicts = await together(*(_verdict(EXPERIMENTS[name], space) for name in names))
    for failure in verdicts:
        if isinstance(failure, HaulError):
            emit(_unproved(store, failure))
            break
    return {name: verdict for name, verdict in zip(names, verdicts, strict=True) if isinstance(verdict, bool)}


async def _verdict(experiment: Experiment, space: ProbeSpace) -> bool | HaulError:
    try:
        return await experiment(space)
    except (Unsupported, PreconditionFailed, S3GenericError, S3IntegrityError):
        # Refused as unknown or malformed, or although it was true: of no use, but not dangerous.
        return False
    except (AccessDenied, S3Conflict, S3ServerError) as error:
        return error


def _daring(store: S3Store) -> S3Store:
    """Return ``store`` as one that is believed to honour everything, so that it sends what is to be tried."""
    believed = replace(store.capabilities, **dict.fromkeys(EXPERIMENTS, True))
    return type(store)(store.client, store.bucket, service=store.service, on_aws=False, capabilities=believed)


def _unproved(store: S3Store, error: HaulError) -> Warned:
    return Warned(
        f"what {store.name} honours could not be proved, the cautious way is taken: {error}",
        "More requests are made, and conditions are checked before as well as by the write.",
    )


def _remember(record: EndpointRecord, known: dict[str, bool], now: datetime, emit: Emit) -> None:
    try:
        record.write(known, now)
    except OSError as error:
        emit(
            Warned(
                f"what was proved cannot be kept in {record.path}: {error.strerror}",
                "It is proved again by each command; set HAUL_STATE_DIR to a directory that can be written.",
            )
        )


async def _is_refused(attempt: Awaitable[object], error: type[HaulError] = PreconditionFailed) -> bool:
    try:
        await attempt
    except error:
        return True
    return False


async def _honours_put(space: ProbeSpace) -> bool:
    first = await space.put("put", _BODY, _CREATE_ONLY)
    if not await _is_refused(space.put("put", _BODY, _CREATE_ONLY)):
        return False
    if not await _is_refused(space.put("put", _BODY, PutOptions(if_match=_OTHER_ETAG))):
        return False
    # Some stores compare the quotes, too, and refuse the right one.
    await space.put("put", _BODY, PutOptions(if_match=first.etag))
    return True


async def _honours_copy(space: ProbeSpace) -> bool:
    """Both conditions: on what is copied, and on what would be replaced."""
    etag = (await space.put("copied", _BODY)).etag
    key = space.key("copied")
    wrong = CopySource(space.store.bucket, key, etag=_OTHER_ETAG)
    if not await _is_refused(space.copy(wrong, "copy")):
        return False
    source = CopySource(space.store.bucket, key, etag=etag)
    create_only = CopyOptions(_CREATE_ONLY)
    await space.copy(source, "copy", create_only)
    return await _is_refused(space.copy(source, "copy", create_only))


async def _honours_delete(space: ProbeSpace) -> bool:
    etag = (await space.put("delete", _BODY)).etag
    if not await _is_refused(space.delete("delete", DeleteOptions(if_match=_OTHER_ETAG))):
        return False
    await space.delete("delete", DeleteOptions(if_match=etag))
    return True


async def _honours_batch_delete(space: ProbeSpace) -> bool:
    etag = (await space.put("batch", _BODY)).etag
    key = space.key("batch")
    (refused,) = await space.delete_batch([DeleteItem(key, if_match=_OTHER_ETAG)])
    if not isinstance(refused.error, PreconditionFailed):
        return False
    (deleted,) = await space.delete_batch([DeleteItem(key, if_match=etag)])
    return deleted.error is None


async def _verifies_checksums(space: ProbeSpace) -> bool:
    """It refuses content that does not have its checksum, and tells the checksum afterwards."""
    wrong = PutOptions(checksum=_OTHER_CHECKSUM)
    if not await _is_refused(space.put("checksum", _BODY, wrong), IntegrityError):
        return False
    right = compute(_OTHER_CHECKSUM.algorithm, _BODY)
    await space.put("checksum", _BODY, PutOptions(checksum=right))
    head = await space.store.head(space.key("checksum"))
    return any((each.algorithm, each.value) == (right.algorithm, right.value) for each in head.checksums)


async def _lists_in_order(space: ProbeSpace) -> bool:
    await together(*(space.put(f"order/{name}", _BODY) for name in _ORDERED))
    prefix = space.key("order/")
    keys = [info.key[len(prefix) :] async for page in space.store.list(prefix) for info in page.objects]
    return keys == list(_ORDERED)


#: What is proved, by the names of `Capabilities`.
EXPERIMENTS: Final[dict[str, Experiment]] = {
    "conditional_put": _honours_put,
    "conditional_copy": _honours_copy,
    "conditional_delete": _honours_delete,
    "conditional_batch_delete": _honours_batch_delete,
    "checksums": _verifies_checksums,
    "ordered_listing": _lists_in_order,
}
