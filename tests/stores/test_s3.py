"""Whatever the network loses, the store finds out what became of it, and says so truly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute
from haulyard.config import Settings
from haulyard.errors import (
    NotFound,
    S3Conflict,
    S3Error,
    S3GenericError,
    S3NetworkError,
    S3NotFound,
    S3PermissionError,
    S3PreconditionFailed,
    Unsupported,
)
from haulyard.models import (
    CopyOptions,
    CopySource,
    DeleteItem,
    DeleteOptions,
    ListOptions,
    PutOptions,
    RestoreOptions,
)
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection
from haulyard.stores.fate import ROUNDS, TOKEN
from haulyard.stores.s3 import S3Store, default_capabilities
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

CREATE = PutOptions(if_none_match="*")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(minimum_part_size=1) as running:
        yield running


@pytest.fixture
async def store(server: FaultServer) -> AsyncIterator[S3Store]:
    settings = Settings(endpoint_url=server.url, region="us-east-1", retries=3, retry_base_delay=0.0)

    async def no_sleep(_: float) -> None: ...

    async with Connection(settings, credentials=Credentials("id", "key")) as connection:
        yield S3Store(connection.client, "bucket", service="test", on_aws=True, sleep=no_sleep)


def lost(operation: str, *, carried_out: bool, times: int = 1) -> Fault:
    return Fault(operation, attempts="all", times=times, reset_after=0, before=carried_out)


def operations(server: FaultServer) -> list[str]:
    return [request.operation for request in server.requests]


# PutObject


async def test_a_conditional_put_whose_answer_was_lost_is_ours_by_its_content(
    store: S3Store, server: FaultServer
) -> None:
    server.script(lost("PutObject", carried_out=True))
    result = await store.put("k", b"ours", CREATE)
    assert operations(server) == ["PutObject", "HeadObject"]
    assert result.etag == (await store.head("k")).etag
    assert server.objects["bucket", "k"] == b"ours"


async def test_a_conditional_put_that_never_arrived_is_done_again(
    store: S3Store, server: FaultServer
) -> None:
    server.script(lost("PutObject", carried_out=False))
    await store.put("k", b"ours", CREATE)
    assert operations(server) == ["PutObject", "HeadObject", "PutObject"]
    assert server.objects["bucket", "k"] == b"ours"


async def test_a_lost_answer_does_not_make_the_object_of_another_ours(
    store: S3Store, server: FaultServer
) -> None:
    server.objects["bucket", "k"] = b"theirs"
    server.script(lost("PutObject", carried_out=False))
    with pytest.raises(S3PreconditionFailed):
        await store.put("k", b"ours", CREATE)
    assert server.objects["bucket", "k"] == b"theirs"


async def test_a_token_tells_equal_contents_apart(store: S3Store, server: FaultServer) -> None:
    mine = replace(CREATE, metadata={TOKEN: "mine"})
    server.script(lost("PutObject", carried_out=True))
    await store.put("k", b"same", mine)
    server.script(lost("PutObject", carried_out=False))
    with pytest.raises(S3PreconditionFailed):
        await store.put("k", b"same", replace(CREATE, metadata={TOKEN: "other"}))


async def test_a_412_after_our_own_retry_is_ours_by_its_content(store: S3Store, server: FaultServer) -> None:
    # The first try succeeded behind a proxy that answered 500.
    server.script(Fault("PutObject", status=500, before=True))
    assert (await store.put("k", b"ours", CREATE)).etag
    assert operations(server) == ["PutObject", "PutObject", "HeadObject"]


async def test_a_412_at_once_is_not_asked_about(store: S3Store, server: FaultServer) -> None:
    server.objects["bucket", "k"] = b"ours"
    with pytest.raises(S3PreconditionFailed):
        await store.put("k", b"ours", CREATE)
    assert operations(server) == ["PutObject"]


async def test_a_store_without_checksums_proves_a_put_by_its_etag(
    store: S3Store, server: FaultServer
) -> None:
    plain = {"x-amz-checksum-crc64nvme": None, "x-amz-checksum-type": None}
    server.script(lost("PutObject", carried_out=True), Fault("HeadObject", headers=plain, attempts="all"))
    await store.put("k", b"ours", CREATE)
    server.script(lost("PutObject", carried_out=False), Fault("HeadObject", headers=plain, attempts="all"))
    with pytest.raises(S3PreconditionFailed):
        await store.put("k", b"else", CREATE)


async def test_an_unconditional_put_is_simply_repeated(store: S3Store, server: FaultServer) -> None:
    server.script(lost("PutObject", carried_out=True))
    await store.put("k", b"ours")
    assert operations(server) == ["PutObject", "PutObject"]


async def test_a_write_that_never_gets_through_is_an_error(store: S3Store, server: FaultServer) -> None:
    server.script(Fault("PutObject", attempts="all", close_without_answer=True))
    with pytest.raises(S3NetworkError):
        await store.put("k", b"ours", CREATE)
    assert operations(server).count("PutObject") == ROUNDS


async def test_where_nobody_can_look_the_first_error_is_told(store: S3Store, server: FaultServer) -> None:
    server.script(
        Fault("PutObject", attempts="all", status=500),
        Fault("HeadObject", attempts="all", status=403),
    )
    with pytest.raises(S3Error) as caught:
        await store.put("k", b"ours", CREATE)
    assert caught.value.operation == "PutObject"


async def test_more_than_a_single_put_can_hold_is_refused_before_it_is_sent(
    store: S3Store, server: FaultServer
) -> None:
    store.capabilities = replace(store.capabilities, max_put_size=3)
    with pytest.raises(S3GenericError) as caught:
        await store.put("k", b"four")
    assert caught.value.code == "EntityTooLarge"
    assert server.requests == ()


# CopyObject


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_conditional_copy_whose_answer_was_lost_is_found_or_repeated(
    store: S3Store, server: FaultServer, carried_out: bool
) -> None:
    server.objects["bucket", "source"] = b"content"
    server.script(lost("CopyObject", carried_out=carried_out))
    await store.copy(CopySource("", "source"), "k", CopyOptions(put=CREATE))
    assert operations(server).count("CopyObject") == 2 - carried_out
    assert server.objects["bucket", "k"] == b"content"


async def test_a_lost_copy_does_not_make_another_object_ours(store: S3Store, server: FaultServer) -> None:
    server.objects["bucket", "source"] = b"content"
    server.objects["bucket", "k"] = b"another"
    server.script(lost("CopyObject", carried_out=False))
    with pytest.raises(S3PreconditionFailed):
        await store.copy(CopySource("", "source"), "k", CopyOptions(put=CREATE))


# Deletes


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_delete_whose_answer_was_lost_is_looked_at_before_it_is_repeated(
    store: S3Store, server: FaultServer, carried_out: bool
) -> None:
    server.objects["bucket", "k"] = b"x"
    server.script(lost("DeleteObject", carried_out=carried_out))
    assert (await store.delete("k")).error is None
    assert operations(server).count("DeleteObject") == 2 - carried_out
    assert ("bucket", "k") not in server.objects


async def test_a_condition_on_what_is_gone_is_no_failure(store: S3Store, server: FaultServer) -> None:
    server.script(Fault("DeleteObject", status=412, attempts="all"))
    assert (await store.delete("absent", DeleteOptions(if_match="e"))).error is None
    server.script(Fault("DeleteObject", status=404, attempts="all"))
    assert (await store.delete("absent", DeleteOptions(if_match="e"))).error is None


async def test_a_condition_on_what_was_replaced_is_a_failure(store: S3Store, server: FaultServer) -> None:
    server.objects["bucket", "k"] = b"x"
    server.script(Fault("DeleteObject", status=412, attempts="all"))
    with pytest.raises(S3PreconditionFailed):
        await store.delete("k", DeleteOptions(if_match="e"))


async def test_a_delete_in_a_bucket_that_is_not_there_is_a_failure(store: S3Store) -> None:
    elsewhere = S3Store(store.client, "absent", service="test", on_aws=True)
    with pytest.raises(S3NotFound):
        await elsewhere.delete("k")


def batch_answer(**codes: str) -> str:
    errors = "".join(
        f"<Error><Key>{key}</Key><Code>{code}</Code><Message>m</Message></Error>"
        for key, code in codes.items()
    )
    return f"<DeleteResult>{errors}</DeleteResult>"


async def test_only_keys_that_failed_in_passing_are_tried_again(store: S3Store, server: FaultServer) -> None:
    for key in "abc":
        server.objects["bucket", key] = b"x"
    server.script(
        Fault("DeleteObjects", body=batch_answer(a="InternalError", b="AccessDenied", c="SlowDown")),
    )
    outcomes = await store.delete_many([DeleteItem(key) for key in "abcd"])
    assert [outcome.key for outcome in outcomes] == list("abcd")
    assert isinstance(outcomes[1].error, S3PermissionError)
    assert [outcomes[number].error for number in (0, 2, 3)] == [None, None, None]
    first, second = server.requests
    assert first.body.count(b"<Key>") == 4
    assert second.body.count(b"<Key>") == 2
    assert set(server.objects) == {("bucket", "b")}


async def test_a_key_that_always_fails_is_given_up_and_told(store: S3Store, server: FaultServer) -> None:
    server.script(Fault("DeleteObjects", body=batch_answer(a="InternalError"), attempts="all"))
    (outcome,) = await store.delete_many([DeleteItem("a")])
    assert isinstance(outcome.error, S3Error)
    assert len(server.requests) == ROUNDS


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_batch_whose_answer_was_lost_is_looked_at_key_by_key(
    store: S3Store, server: FaultServer, carried_out: bool
) -> None:
    for key in "abc":
        server.objects["bucket", key] = b"x"
    server.script(lost("DeleteObjects", carried_out=carried_out))
    outcomes = await store.delete_many([DeleteItem(key) for key in "abc"])
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert operations(server).count("HeadObject") == 3
    assert operations(server).count("DeleteObjects") == 2 - carried_out
    assert len(server.objects) == 0


async def test_a_version_whose_batch_was_lost_is_deleted_again(store: S3Store, server: FaultServer) -> None:
    # HEAD of a delete marker finds nothing either, so that it cannot tell.
    server.script(lost("DeleteObjects", carried_out=False, times=3))
    outcomes = await store.delete_many([DeleteItem("k", version_id="v1"), DeleteItem("k2")])
    assert [outcome.error for outcome in outcomes] == [None, None]


async def test_what_fails_all_batches_is_raised(store: S3Store, server: FaultServer) -> None:
    server.script(Fault("DeleteObjects", status=403, attempts="all"))
    with pytest.raises(S3PermissionError):
        await store.delete_many([DeleteItem(str(number)) for number in range(1_500)])


async def test_a_batch_that_fails_as_a_whole_fails_its_own_keys_only(
    store: S3Store, server: FaultServer
) -> None:
    store.capabilities = replace(store.capabilities, max_batch_delete=2)
    server.script(Fault("DeleteObjects", status=403, where=lambda _: True, times=1, attempts="all"))
    outcomes = await store.delete_many([DeleteItem(str(number)) for number in range(6)])
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [outcome.key for outcome in outcomes] == list("012345")
    assert len(failed) == 2
    assert all(isinstance(outcome.error, S3PermissionError) for outcome in failed)


async def test_keys_that_a_batch_cannot_carry_go_alone(store: S3Store, server: FaultServer) -> None:
    for key in ("a\x01b", "plain"):
        server.objects["bucket", key] = b"x"
    outcomes = await store.delete_many([DeleteItem("a\x01b"), DeleteItem("plain")])
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert sorted(operations(server)) == ["DeleteObject", "DeleteObjects"]
    assert len(server.objects) == 0


async def test_conditions_go_in_batches_only_where_that_is_proved(
    store: S3Store, server: FaultServer
) -> None:
    server.objects["bucket", "k"] = b"x"
    etag = server.objects.stored("bucket", "k").etag.strip('"')
    store.capabilities = replace(store.capabilities, conditional_batch_delete=None)
    outcomes = await store.delete_many([DeleteItem("k", if_match="other"), DeleteItem("gone", if_match=etag)])
    assert isinstance(outcomes[0].error, S3PreconditionFailed)
    assert outcomes[1].error is None
    assert "DeleteObjects" not in operations(server)
    store.capabilities = replace(store.capabilities, conditional_batch_delete=True)
    outcomes = await store.delete_many([DeleteItem("k", if_match=etag)])
    assert outcomes[0].error is None
    assert operations(server)[-1] == "DeleteObjects"


async def test_a_batch_condition_on_what_is_gone_is_no_failure(store: S3Store, server: FaultServer) -> None:
    server.objects["bucket", "there"] = b"x"
    answer = batch_answer(gone="PreconditionFailed", there="PreconditionFailed")
    server.script(Fault("DeleteObjects", body=answer))
    outcomes = await store.delete_many([DeleteItem("gone", if_match="e"), DeleteItem("there", if_match="e")])
    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, S3PreconditionFailed)


# Multipart uploads


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_completion_whose_answer_was_lost_is_found_or_repeated(
    store: S3Store, server: FaultServer, carried_out: bool
) -> None:
    upload = await store.create_multipart("k")
    parts = [await store.put_part("k", upload, number, b"part") for number in (1, 2)]
    server.script(lost("CompleteMultipartUpload", carried_out=carried_out))
    result = await store.complete_multipart("k", upload, parts)
    assert result.etag.endswith("-2")
    assert server.objects["bucket", "k"] == b"partpart"
    assert operations(server).count("CompleteMultipartUpload") == 2 - carried_out


@pytest.mark.parametrize(
    "options",
    [PutOptions(), PutOptions(metadata={TOKEN: "mine"}), PutOptions(checksum=compute("CRC64NVME", b"part"))],
    ids=["etag", "token", "checksum"],
)
async def test_an_object_that_replaced_ours_meanwhile_is_not_taken_for_ours(
    store: S3Store, server: FaultServer, options: PutOptions
) -> None:
    upload = await store.create_multipart("k", PutOptions(metadata=options.metadata))
    parts = [await store.put_part("k", upload, 1, b"part")]
    server.script(
        lost("CompleteMultipartUpload", carried_out=True),
        Fault("HeadObject", change_etag=b"diff", headers={f"x-amz-meta-{TOKEN}": "other"}, attempts="all"),
    )
    with pytest.raises(NotFound):
        await store.complete_multipart("k", upload, parts, options)


@pytest.mark.parametrize(
    "options",
    [PutOptions(metadata={TOKEN: "mine"}), PutOptions(checksum=compute("CRC64NVME", b"part"))],
    ids=["token", "checksum"],
)
async def test_a_completed_object_is_ours_by_token_or_checksum(
    store: S3Store, server: FaultServer, options: PutOptions
) -> None:
    upload = await store.create_multipart("k", PutOptions(metadata=options.metadata))
    parts = [await store.put_part("k", upload, 1, b"part")]
    opaque = {"etag": '"opaque"'}
    server.script(
        lost("CompleteMultipartUpload", carried_out=True),
        Fault("HeadObject", headers=opaque, attempts="all"),
    )
    assert (await store.complete_multipart("k", upload, parts, options)).etag == "opaque"


async def test_without_proof_existing_is_not_enough(store: S3Store, server: FaultServer) -> None:
    upload = await store.create_multipart("k")
    parts = [(await store.put_part("k", upload, 1, b"part"))._replace(etag="opaque")]
    server.script(Fault("CompleteMultipartUpload", attempts="all", status=404, body=no_such_upload()))
    server.objects["bucket", "k"] = b"part"
    with pytest.raises(NotFound):
        await store.complete_multipart("k", upload, parts)


def no_such_upload() -> str:
    return "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>"


async def test_an_upload_is_given_up_until_no_part_turns_up(store: S3Store, server: FaultServer) -> None:
    upload = await store.create_multipart("k")
    late = (
        "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>"
        "<ETag>e</ETag><Size>1</Size></Part></ListPartsResult>"
    )
    server.script(Fault("ListParts", body=late, attempts="all"))
    await store.abort_multipart("k", upload)
    # The second abort finds no upload any more, which is what was wanted.
    assert operations(server)[1:] == ["AbortMultipartUpload", "ListParts", "AbortMultipartUpload"]
    assert server.uploads == ()


async def test_an_upload_that_goes_on_getting_parts_is_a_conflict(
    store: S3Store, server: FaultServer
) -> None:
    late = (
        "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>"
        "<ETag>e</ETag><Size>1</Size></Part></ListPartsResult>"
    )
    server.script(
        Fault("ListParts", body=late, attempts="all"),
        Fault("AbortMultipartUpload", status=204, attempts="all"),
    )
    with pytest.raises(S3Conflict) as caught:
        await store.abort_multipart("k", "upload")
    assert caught.value.hint


async def test_giving_up_needs_no_permission_to_list_parts(store: S3Store, server: FaultServer) -> None:
    upload = await store.create_multipart("k")
    server.script(Fault("ListParts", status=403, attempts="all"))
    await store.abort_multipart("k", upload)
    assert server.uploads == ()
    server.script(Fault("AbortMultipartUpload", status=403, attempts="all"))
    with pytest.raises(S3PermissionError):
        await store.abort_multipart("k", upload)


async def test_giving_up_in_a_bucket_that_is_not_there_is_an_error(
    store: S3Store, server: FaultServer
) -> None:
    no_bucket = "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>"
    server.script(Fault("AbortMultipartUpload", status=404, body=no_bucket))
    with pytest.raises(S3NotFound):
        await store.abort_multipart("k", "upload")


# Listings


def page(keys: list[str], token: str = "") -> str:
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;e&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = "true" if token else "false"
    return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{contents}</ListBucketResult>"


async def keys_of(store: S3Store) -> list[str]:
    return [info.key async for found in store.list() for info in found.objects]


async def test_an_empty_page_with_a_token_is_not_the_end(store: S3Store, server: FaultServer) -> None:
    server.script(
        Fault("ListObjectsV2", body=page([], "t1"), times=1, attempts="all"),
        Fault("ListObjectsV2", body=page(["a"], "t2"), times=1, attempts="all"),
        Fault("ListObjectsV2", body=page(["b"]), times=1, attempts="all"),
    )
    assert await keys_of(store) == ["a", "b"]
    assert [request.parameters.get("continuation-token") for request in server.requests] == [None, "t1", "t2"]


async def test_a_listing_that_does_not_advance_is_an_error(store: S3Store, server: FaultServer) -> None:
    server.script(Fault("ListObjectsV2", body=page(["a"], "same"), attempts="all"))
    with pytest.raises(S3GenericError, match="twice"):
        await keys_of(store)


async def test_long_listings_are_read_page_by_page(store: S3Store, server: FaultServer) -> None:
    for number in range(25):
        server.objects["bucket", f"{number:02}"] = b"x"
    sizes = [len(found.objects) async for found in store.list("", ListOptions(page_size=10))]
    assert sizes == [10, 10, 5]


# The rest


async def test_a_restore_that_is_under_way_is_not_an_error(store: S3Store, server: FaultServer) -> None:
    under_way = "<Error><Code>RestoreAlreadyInProgress</Code><Message>m</Message></Error>"
    server.script(
        Fault("RestoreObject", status=202, body=""),
        Fault("RestoreObject", status=409, body=under_way, attempts=(2,)),
        Fault("RestoreObject", status=409, attempts="all"),
    )
    assert await store.restore("k")
    assert not await store.restore("k", RestoreOptions())
    with pytest.raises(S3Conflict):
        await store.restore("k")


async def test_attributes_come_from_head_where_the_store_has_no_such_call(
    store: S3Store, server: FaultServer
) -> None:
    server.objects["bucket", "k"] = b"content"
    server.script(Fault("GetObjectAttributes", status=501, attempts="all"))
    attributes = await store.attributes("k")
    assert attributes.size == 7
    server.script(Fault("GetObjectAttributes", status=403, attempts="all"))
    with pytest.raises(S3PermissionError):
        await store.attributes("k")


async def test_what_is_known_not_to_be_honoured_is_refused(store: S3Store, server: FaultServer) -> None:
    store.capabilities = replace(
        store.capabilities,
        conditional_put=False,
        conditional_copy=False,
        conditional_delete=False,
        versions=False,
        tags=False,
        acl=False,
        restore=False,
    )
    for call in (
        store.put("k", b"x", CREATE),
        store.copy(CopySource("", "s"), "k", CopyOptions(put=CREATE)),
        store.delete("k", DeleteOptions(if_match="e")),
        store.delete_many([DeleteItem("k", if_match="e")]),
        store.complete_multipart("k", "u", [], CREATE),
        store.get_tags("k"),
        store.set_tags("k", {}),
        store.get_acl("k"),
        store.set_acl("k", "private"),
        store.restore("k"),
    ):
        with pytest.raises(Unsupported):
            await call
    with pytest.raises(Unsupported):
        _ = [found async for found in store.list_versions()]
    assert server.requests == ()


def test_what_a_bucket_can_do_is_known_of_aws_only() -> None:
    aws = default_capabilities("bucket", on_aws=True)
    assert (aws.conditional_put, aws.ordered_listing, aws.checksums) == (True, True, True)
    other = default_capabilities("bucket", on_aws=False)
    assert (other.conditional_put, other.ordered_listing, other.checksums) == (None, None, None)
    directory = default_capabilities("logs--use1-az4--x-s3", on_aws=True)
    assert (directory.ordered_listing, directory.versions, directory.acl) == (False, False, False)


async def test_a_store_tells_its_name_and_what_it_shares(store: S3Store) -> None:
    other = S3Store(store.client, "other", service="test", on_aws=True)
    assert store.name == "s3://bucket"
    assert store.service == other.service
    assert store.identity != other.identity
