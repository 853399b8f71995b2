"""Sources deleted together, one by one, or after a look; never what was not copied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import able, contents, put_now, store_of
from tests.jobs.applying.meddling import CARELESS, UNPROVED, CarelessStore, MeddledStore

from haulyard.errors import NotFound, S3PermissionError, S3ServerError, SourceChanged
from haulyard.jobs.applying.removing import Removal, Removing

if TYPE_CHECKING:
    from haulyard.models import DeleteOutcome

pytestmark = pytest.mark.anyio

KEYS = [f"k{number}" for number in range(5)]


class Told:
    """What was said of each key."""

    def __init__(self) -> None:
        self.outcomes: dict[str, DeleteOutcome] = {}

    async def __call__(self, removal: Removal, outcome: DeleteOutcome) -> None:
        self.outcomes[removal.key] = outcome

    @property
    def errors(self) -> dict[str, type]:
        return {key: type(each.error) for key, each in self.outcomes.items() if each.error is not None}


def store_with(kind: type[MeddledStore] = MeddledStore, **capabilities: Any) -> MeddledStore:
    store = able(store_of({key: key.encode() for key in KEYS}, kind=kind), **capabilities)
    assert isinstance(store, MeddledStore)
    return store


async def removals(store: MeddledStore) -> list[Removal]:
    heads = [await store.head(key) for key in KEYS]
    store.calls.clear()
    return [Removal(number, head.key, head.etag) for number, head in enumerate(heads)]


@pytest.mark.parametrize(
    ("kind", "capabilities", "names"),
    [
        pytest.param(MeddledStore, {}, {"delete_many", "delete"}, id="batches"),
        pytest.param(MeddledStore, {"conditional_batch_delete": False}, {"delete"}, id="one by one"),
        pytest.param(MeddledStore, {"conditional_batch_delete": None}, {"delete"}, id="batches unproved"),
        pytest.param(MeddledStore, UNPROVED, {"head", "delete"}, id="unproved"),
        pytest.param(CarelessStore, CARELESS, {"head", "delete"}, id="after a look"),
    ],
)
async def test_what_was_replaced_is_kept_and_what_is_gone_counts_as_deleted(
    kind: type[MeddledStore], capabilities: dict[str, Any], names: set[str]
) -> None:
    store, told = store_with(kind, **capabilities), Told()
    wanted = await removals(store)
    put_now(store, "k1", b"newer")
    store._versions.bury("k2")
    async with Removing(store, told) as removing:
        for removal in wanted:
            await removing.add(removal)
    assert contents(store) == {"k1": b"newer"}
    assert told.errors == {"k1": SourceChanged}
    assert told.outcomes.keys() == set(KEYS)
    assert {name for name, _ in store.calls} == names


async def test_batches_are_full_and_the_last_is_sent_at_the_end() -> None:
    store, told = store_with(max_batch_delete=2), Told()
    async with Removing(store, told) as removing:
        for removal in await removals(store):
            await removing.add(removal)
    assert [key for name, key in store.calls if name == "delete_many"] == ["k0", "k2"]
    assert contents(store) == {}


async def test_a_lone_key_waits_for_company_only_so_long() -> None:
    store, told, gone = store_with(), Told(), asyncio.Event()
    store.after = lambda _name, _key: gone.set()
    async with Removing(store, told) as removing:
        await removing.add((await removals(store))[0])
        gone.clear()
        await gone.wait()
        assert "k0" not in contents(store)


async def test_a_batch_that_fails_as_a_whole_fails_each_of_its_keys() -> None:
    store, told = store_with(), Told()
    wanted = await removals(store)

    def fail(name: str, _key: str) -> None:
        if name == "delete_many":
            raise S3ServerError("down", status=500)

    store.before = fail
    async with Removing(store, told) as removing:
        for removal in wanted:
            await removing.add(removal)
    assert told.errors == dict.fromkeys(KEYS, S3ServerError)
    assert contents(store).keys() == set(KEYS)


async def test_keys_of_a_batch_have_outcomes_of_their_own() -> None:
    store, told = store_with(), Told()
    wanted = await removals(store)
    errors: dict[str, Exception] = {
        "k0": S3PermissionError("no", status=403),
        "k1": S3ServerError("later", status=500),
        "k2": NotFound("no such key"),
    }

    async def delete_some(items: list[Any]) -> list[DeleteOutcome]:
        outcomes = await MeddledStore.delete_many(store, [item for item in items if item.key not in errors])
        found = {outcome.key: outcome for outcome in outcomes}
        return [
            found.get(item.key) or outcomes[0]._replace(key=item.key, error=errors[item.key])
            for item in items
        ]

    store.delete_many = delete_some  # type: ignore[assignment, method-assign]
    async with Removing(store, told) as removing:
        for removal in wanted:
            await removing.add(removal)
    assert told.errors == {"k0": S3PermissionError, "k1": S3ServerError}
    assert contents(store).keys() == {"k0", "k1", "k2"}


@pytest.mark.parametrize("capabilities", [{}, {"conditional_batch_delete": False}])
async def test_everything_that_was_deleted_is_told_before_an_error_ends_the_work(
    capabilities: dict[str, Any],
) -> None:
    store = store_with(**capabilities)
    settled: list[str] = []

    async def settle(removal: Removal, _outcome: DeleteOutcome) -> None:
        settled.append(removal.key)
        if removal.key == "k1":
            raise S3PermissionError("withdrawn", status=403)

    wanted = await removals(store)

    async def remove() -> None:
        async with Removing(store, settle) as removing:
            for removal in wanted:
                await removing.add(removal)

    with pytest.raises(S3PermissionError):
        await remove()
    assert settled == KEYS


async def test_an_error_ends_the_work_of_who_adds() -> None:
    store = store_with(max_batch_delete=1)

    async def settle(_removal: Removal, _outcome: DeleteOutcome) -> None:
        raise S3PermissionError("withdrawn", status=403)

    wanted = await removals(store)

    async def remove() -> None:
        async with Removing(store, settle) as removing:
            await removing.add(wanted[0])
            while True:
                await removing.add(wanted[1])
                await asyncio.sleep(0)

    with pytest.raises(S3PermissionError):
        await remove()


async def test_nothing_is_under_way_any_more_once_the_work_was_ended() -> None:
    store, told, held = store_with(max_batch_delete=1), Told(), asyncio.Event()
    wanted = await removals(store)
    before = asyncio.all_tasks()

    async def hold(_items: Any, *_rest: Any) -> Any:
        held.set()
        await asyncio.Event().wait()

    store.delete = hold  # type: ignore[assignment, method-assign]

    async def remove() -> None:
        async with Removing(store, told) as removing:
            await removing.add(wanted[0])
            await held.wait()
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await remove()
    assert asyncio.all_tasks() == before
    assert contents(store).keys() == set(KEYS)


async def test_a_version_that_is_named_needs_no_condition() -> None:
    """Conditions look at the current version only, which it need not be."""
    store, told = MeddledStore(versioned=True), Told()
    old = [put_and_version(store, key, b"old") for key in KEYS]
    for key in KEYS:
        put_now(store, key, b"new")
    async with Removing(store, told) as removing:
        for number, (key, version) in enumerate(zip(KEYS, old, strict=True)):
            await removing.add(Removal(number, key, "some etag", version))
    assert told.errors == {}
    assert contents(store) == dict.fromkeys(KEYS, b"new")
    assert not any(store._versions.drop(key, version) for key, version in zip(KEYS, old, strict=True))


def put_and_version(store: MeddledStore, key: str, data: bytes) -> str:
    put_now(store, key, data)
    version = store._versions.current(key)
    assert version is not None
    return version.head.version_id
