"""What is sealed comes back, and whatever was changed does not."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.fs.encryption.sealed import KEY, Held, encrypter, hold, plain

from haulyard.errors import ConfigError, S3IntegrityError, StoreError
from haulyard.fs.encryption import ClientSideEncryption
from haulyard.models import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

LOCAL = ClientSideEncryption(wrapping_key=KEY)
ON_DISK = replace(LOCAL, memory=0)
EARLY = replace(LOCAL, delayed_auth=True)
MODES = pytest.mark.parametrize("mode", [LOCAL, ON_DISK, EARLY], ids=["memory", "disk", "delayed_auth"])
_PIECE = 256 * 1024
CONTENT = os.urandom(3 * _PIECE + 5)


async def in_chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def gather(given: list[bytes], pieces: AsyncIterator[bytes]) -> None:
    """Keep what came, also where an error ends it."""
    async for piece in pieces:
        given.append(piece)  # noqa: PERF401 -- a comprehension would lose it


@MODES
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, _PIECE, _PIECE + 1, len(CONTENT)])
async def test_what_was_sealed_comes_back(mode: ClientSideEncryption, size: int) -> None:
    held = await hold(CONTENT[:size])
    assert len(held.body) == size + 16
    assert await plain(held, mode) == CONTENT[:size]


@MODES
@pytest.mark.parametrize("chunk", [1, 15, 16, 1_000])
async def test_chunks_may_cut_the_tag(mode: ClientSideEncryption, chunk: int) -> None:
    held = await hold(CONTENT[:1_000])
    unsealed = encrypter(mode).unseal(held.head, held.chunks(chunk))
    assert b"".join([piece async for piece in unsealed]) == CONTENT[:1_000]


async def test_a_stream_is_sealed_as_it_comes() -> None:
    sealed = await encrypter().seal(in_chunks(b"", CONTENT, b"more"), len(CONTENT) + 4)
    pieces = [piece async for piece in sealed.chunks]
    held = Held(b"".join(pieces), sealed.metadata)
    assert max(len(piece) for piece in pieces) == _PIECE
    assert sealed.size == len(held.body)
    assert await plain(held) == CONTENT + b"more"


async def test_the_size_of_a_stream_need_not_be_known() -> None:
    sealed = await encrypter().seal(in_chunks(b"some"))
    assert sealed.size is None
    assert await plain(Held(b"".join([piece async for piece in sealed.chunks]), sealed.metadata)) == b"some"


@pytest.mark.parametrize(("size", "said"), [(3, "more bytes came than the 3"), (5, "4 bytes came of the 5")])
async def test_a_stream_of_another_size_ends_in_an_error(size: int, said: str) -> None:
    sealed = await encrypter().seal(in_chunks(b"some"), size)
    with pytest.raises(StoreError, match=said):
        [piece async for piece in sealed.chunks]


async def test_a_content_that_one_key_may_not_encrypt_is_refused_beforehand() -> None:
    with pytest.raises(StoreError, match="at most 68719476704 bytes"):
        await encrypter().seal(in_chunks(), 64 * 1024**3)


async def test_every_write_has_keys_of_its_own() -> None:
    sealer = encrypter()
    written = [await sealer.seal_bytes(b"the same") for _ in range(20)]
    for name in ("x-amz-3", "x-amz-i", "x-amz-d"):
        assert len({each.metadata[name] for each in written}) == 20
    assert len({bytes(each.body) for each in written}) == 20


@MODES
@pytest.mark.parametrize("place", [0, 100_000, -17, -16, -1])
async def test_a_changed_byte_is_noticed(mode: ClientSideEncryption, place: int) -> None:
    held = await hold(CONTENT)
    body = bytearray(held.body)
    body[place] ^= 1
    with pytest.raises(S3IntegrityError, match="its bytes are not those that were written"):
        await plain(held._replace(body=bytes(body)), mode)


@pytest.mark.parametrize("mode", [LOCAL, ON_DISK], ids=["memory", "disk"])
async def test_nothing_is_given_before_all_is_verified(mode: ClientSideEncryption) -> None:
    held = await hold(CONTENT)
    given: list[bytes] = []
    with pytest.raises(S3IntegrityError):
        await gather(given, encrypter(mode).unseal(held.head, in_chunks(held.body[:-1], b"?")))
    assert given == []


async def test_delayed_authentication_gives_first_and_says_so() -> None:
    held = await hold(CONTENT)
    given: list[bytes] = []
    with pytest.raises(S3IntegrityError) as refused:
        await gather(given, encrypter(EARLY).unseal(held.head, in_chunks(held.body[:-1], b"?")))
    assert b"".join(given) == CONTENT
    assert "throw away" in refused.value.hint


@MODES
async def test_a_body_of_another_length_than_was_said_is_named(mode: ClientSideEncryption) -> None:
    held = await hold(b"content")
    for body, said in ((held.body[:-1], "22 of its 23 bytes"), (held.body + b"x", "more than its 23 bytes")):
        with pytest.raises(S3IntegrityError, match=said):
            [piece async for piece in encrypter(mode).unseal(held.head, in_chunks(body))]


@MODES
async def test_an_object_that_was_cut_in_the_store_is_refused(mode: ClientSideEncryption) -> None:
    held = await hold(CONTENT)
    for left in (len(CONTENT), 16):
        with pytest.raises(S3IntegrityError, match="its bytes are not those"):
            await plain(held._replace(body=held.body[:left]), mode)
    with pytest.raises(S3IntegrityError, match="15 bytes are less than the tag"):
        await plain(held._replace(body=held.body[:15]), mode)


async def test_an_object_that_is_too_large_for_one_key_is_refused_unread() -> None:
    held = await hold(b"content")
    unsealed = encrypter().unseal(held.head._replace(size=64 * 1024**3), in_chunks())
    with pytest.raises(S3IntegrityError, match="more than one key may encrypt"):
        await anext(unsealed)


async def test_an_object_of_an_older_client_is_read_if_asked() -> None:
    data_key, nonce, content_nonce = os.urandom(32), os.urandom(12), os.urandom(12)
    wrapped = nonce + AESGCM(KEY.reveal()).encrypt(nonce, data_key, b"AES/GCM/NoPadding")
    metadata = {
        "x-amz-key-v2": base64.b64encode(wrapped).decode(),
        "x-amz-iv": base64.b64encode(content_nonce).decode(),
        "x-amz-cek-alg": "AES/GCM/NoPadding",
        "x-amz-wrap-alg": "AES/GCM",
        "x-amz-matdesc": "{}",
        "x-amz-tag-len": "128",
    }
    held = Held(AESGCM(data_key).encrypt(content_nonce, CONTENT, None), metadata)
    for mode in (LOCAL, ON_DISK, EARLY):
        assert await plain(held, replace(mode, allow_uncommitted=True)) == CONTENT
    changed = held._replace(body=held.body[:-1] + b"?")
    with pytest.raises(S3IntegrityError, match="its bytes are not those"):
        await plain(changed, replace(LOCAL, allow_uncommitted=True))


async def test_another_wrapping_key_is_refused() -> None:
    other = ClientSideEncryption(wrapping_key=Secret(bytes(32)))
    with pytest.raises(S3IntegrityError, match="the wrapping key is another one") as refused:
        await plain(await hold(b"content"), other)
    assert "wrapping key" in refused.value.hint


async def test_another_context_is_refused() -> None:
    mine = replace(LOCAL, context={"team": "a", "x": "y"})
    held = await hold(b"content", mine)
    assert await plain(held, mine) == b"content"
    for other in ({}, {"team": "b", "x": "y"}):
        with pytest.raises(S3IntegrityError, match=r"another context \(.*team.*\)"):
            await plain(held, replace(LOCAL, context=other))


@pytest.mark.parametrize("name", ["x-amz-3", "x-amz-i", "x-amz-d"])
async def test_metadata_of_another_object_is_refused(name: str) -> None:
    held, other = await hold(b"content"), await hold(b"content")
    swapped = held._replace(metadata={**held.metadata, name: other.metadata[name]})
    with pytest.raises(S3IntegrityError, match="its key commitment is not that of its data key"):
        await plain(swapped)
    with pytest.raises(S3IntegrityError, match="its bytes are not those"):
        await plain(held._replace(metadata=other.metadata))


@pytest.mark.parametrize("mode", [LOCAL, ON_DISK, EARLY], ids=["memory", "disk", "delayed_auth"])
async def test_any_range_is_read_of_what_was_verified_once(mode: ClientSideEncryption) -> None:
    held = await hold(CONTENT)
    async with await encrypter(mode).open(held.head, held.chunks()) as opened:
        assert opened.size == len(CONTENT)
        for start, end in (
            (0, 1),
            (17, 17),
            (5, 300_000),
            (_PIECE - 1, _PIECE + 1),
            (len(CONTENT) - 1, None),
        ):
            assert await opened.read(start, end) == CONTENT[start:end]
        assert await opened.read(10, 10**12) == CONTENT[10:]
        assert await opened.read(len(CONTENT) + 5) == b""
        with pytest.raises(ValueError, match="negative"):
            await opened.read(-5)


@pytest.mark.parametrize("mode", [LOCAL, ON_DISK], ids=["memory", "disk"])
async def test_opening_verifies_first(mode: ClientSideEncryption) -> None:
    held = await hold(CONTENT)
    with pytest.raises(S3IntegrityError, match="its bytes are not those"):
        await encrypter(replace(mode, delayed_auth=True)).open(held.head, in_chunks(held.body[:-1], b"?"))


async def test_ranges_are_read_at_the_same_time() -> None:
    held = await hold(CONTENT)
    found: dict[int, bytes] = {}
    async with await encrypter(ON_DISK).open(held.head, held.chunks()) as opened:

        async def read(start: int) -> None:
            found[start] = await opened.read(start, start + 10_000)

        async with anyio.create_task_group() as group:
            for start in range(0, len(CONTENT), 10_000):
                group.start_soon(read, start)
    assert b"".join(found[start] for start in sorted(found)) == CONTENT


@pytest.mark.parametrize("mode", [LOCAL, ON_DISK], ids=["memory", "disk"])
async def test_what_is_closed_is_not_read(mode: ClientSideEncryption) -> None:
    held = await hold(CONTENT)
    opened = await encrypter(mode).open(held.head, held.chunks())
    await opened.close()
    await opened.close()
    with pytest.raises(ValueError, match="closed"):
        await opened.read()


async def test_the_disk_sees_ciphertext_without_a_name(tmp_path: Path) -> None:
    content = b"a secret that would be found " * 100_000
    held = await hold(content)
    mode = replace(ON_DISK, spool_dir=str(tmp_path))
    async with await encrypter(mode).open(held.head, held.chunks()) as opened:
        assert list(tmp_path.iterdir()) == []
        descriptors = [link for link in _open_files() if link.startswith(str(tmp_path))]
        assert len(descriptors) == 1
        assert await opened.read(0, 29) == content[:29]
    assert not [link for link in _open_files() if link.startswith(str(tmp_path))]


def _open_files() -> list[str]:
    if sys.platform != "linux":
        pytest.skip("/proc lists the open files")
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return found


async def test_a_spool_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    held = await hold(CONTENT)
    with pytest.raises(StoreError, match="no room for ciphertext") as refused:
        await plain(held, replace(ON_DISK, spool_dir=str(tmp_path / "absent")))
    assert "spool_dir" in refused.value.hint


async def test_a_cancelled_reader_leaves_no_file_open(tmp_path: Path) -> None:
    held = await hold(os.urandom(2_000_000))
    reached = anyio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield held.body[:1_500_000]
        reached.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        mode = replace(ON_DISK, spool_dir=str(tmp_path))
        group.start_soon(encrypter(mode).open, held.head, stalling())
        await reached.wait()
        group.cancel_scope.cancel()
    assert not [link for link in _open_files() if link.startswith(str(tmp_path))]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "needs one key"),
        ({"wrapping_key": KEY, "kms_key_id": "alias/a"}, "needs one key"),
        ({"wrapping_key": Secret(bytes(16))}, "16 bytes, not 32"),
        ({"wrapping_key": KEY, "memory": -1}, "negative"),
        ({"wrapping_key": KEY, "context": {"aws:x-amz-cek-alg": "115"}}, "belongs to the format"),
        ({"wrapping_key": KEY, "context": {"kms_cmk_id": "x"}}, "belongs to the format"),
        ({"wrapping_key": KEY, "context": {"straße": "x"}}, "not ASCII"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(wanted: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ClientSideEncryption(**wanted)  # type: ignore[arg-type]  # what the cases are about


async def test_no_key_is_printed() -> None:
    secret = KEY.reveal()
    with pytest.raises(S3IntegrityError) as refused:
        await plain(await hold(b"content"), ClientSideEncryption(wrapping_key=Secret(bytes(32))))
    printed = "".join(traceback.format_exception(refused.value)) + repr(LOCAL) + repr(refused.value.__dict__)
    for shown in (repr(secret), secret.hex(), repr(bytes(32))):
        assert shown not in printed


def test_without_the_extra_it_is_said_what_to_install() -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from haulyard.config import Settings\n"
        "from haulyard.errors import ConfigError\n"
        "from haulyard.fs.encryption import ClientSideEncryption, Encrypter\n"
        "from haulyard.models import Secret\n"
        "try:\n"
        "    Encrypter(ClientSideEncryption(wrapping_key=Secret(bytes(32))), None)\n"
        "except ConfigError as error:\n"
        "    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pip install 'haulyard[encryption]'"
