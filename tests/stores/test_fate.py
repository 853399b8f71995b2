"""What proves that an object is what we wrote, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute, digest_of
from haulyard.errors import S3NetworkError, S3PreconditionFailed
from haulyard.models import Checksum, ObjectHead, PartInfo, PutOptions
from haulyard.stores.fate import TOKEN, is_assembled, is_copy, is_in_doubt, is_put, result_of

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio

BODY = b"content"
MD5 = digest_of(compute("MD5", BODY)).hex()
CRC = compute("CRC64NVME", BODY)
OTHER = compute("CRC64NVME", b"another")
COMPOSITE = Checksum("CRC64NVME", "AAAAAAAAAAA=-2", "COMPOSITE")


def head(
    size: int = 7,
    etag: str = "opaque",
    checksums: tuple[Checksum, ...] = (),
    metadata: Mapping[str, str] = {},
    encryption: str = "",
) -> ObjectHead:
    return ObjectHead(
        "k", size, None, etag, checksums=checksums, metadata=metadata, encryption=encryption, version_id="v"
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (head(checksums=(CRC,)), True),
        (head(checksums=(OTHER,), etag=MD5), False),
        (head(checksums=(COMPOSITE,), etag=MD5), True),
        (head(etag=MD5), True),
        (head(etag=MD5, encryption="aws:kms"), False),
        (head(etag="0" * 32), False),
        (head(), False),
        (head(size=8, checksums=(CRC,)), False),
    ],
)
async def test_a_put_is_proved_by_content(found: ObjectHead, *, expected: bool) -> None:
    assert await is_put(found, BODY, PutOptions()) is expected


async def test_a_token_decides_alone() -> None:
    ours = PutOptions(metadata={TOKEN: "mine"})
    assert await is_put(head(metadata={TOKEN: "mine"}), BODY, ours)
    assert not await is_put(head(metadata={TOKEN: "other"}, checksums=(CRC,)), BODY, ours)
    assert not await is_put(head(checksums=(CRC,)), BODY, ours)


@pytest.mark.parametrize(
    ("found", "source", "expected"),
    [
        (head(checksums=(CRC,)), head(checksums=(CRC,)), True),
        (head(checksums=(CRC,), etag=MD5), head(checksums=(OTHER,), etag=MD5), False),
        (head(checksums=(CRC,), etag=MD5), head(checksums=(COMPOSITE,), etag=MD5), True),
        (head(etag=MD5), head(etag=MD5), True),
        (head(etag="opaque"), head(etag="opaque"), False),
        (head(size=8), head(), False),
    ],
)
async def test_a_copy_is_proved_by_what_both_state(
    found: ObjectHead, source: ObjectHead, *, expected: bool
) -> None:
    assert is_copy(found, source) is expected


PARTS = [PartInfo(1, MD5, 7), PartInfo(2, f'"{MD5}"', 7)]
ASSEMBLED = digest_of(compute("MD5", bytes.fromhex(MD5) * 2)).hex() + "-2"


@pytest.mark.parametrize(
    ("found", "parts", "options", "expected"),
    [
        (head(14, ASSEMBLED), PARTS, PutOptions(), True),
        (head(14, "opaque-2"), PARTS, PutOptions(), False),
        (head(13, ASSEMBLED), PARTS, PutOptions(), False),
        (head(14, "", ()), [PartInfo(1, "no hex", 14)], PutOptions(), False),
        (head(14, ASSEMBLED), [part._replace(size=0) for part in PARTS], PutOptions(), True),
        (head(14, "opaque", (CRC,)), PARTS, PutOptions(checksum=CRC), True),
        (head(14, ASSEMBLED, (OTHER,)), PARTS, PutOptions(checksum=CRC), False),
        (head(14, ASSEMBLED, (COMPOSITE,)), PARTS, PutOptions(checksum=CRC), True),
    ],
)
async def test_a_completed_upload_is_proved_by_checksum_or_tag(
    found: ObjectHead, parts: list[PartInfo], options: PutOptions, *, expected: bool
) -> None:
    assert is_assembled(found, parts, options) is expected


async def test_doubt_is_about_requests_that_may_have_been_carried_out() -> None:
    never_sent = S3NetworkError("refused")
    never_sent.sent = False
    assert not is_in_doubt(never_sent)
    assert is_in_doubt(S3NetworkError("reset"))
    assert not is_in_doubt(S3PreconditionFailed("412"))
    assert is_in_doubt(S3PreconditionFailed("412", attempts=2))


async def test_what_was_found_is_told_as_the_lost_answer_would_have() -> None:
    result = result_of(head(checksums=(CRC,)))
    assert (result.etag, result.version_id, result.checksums) == ("opaque", "v", (CRC,))
