"""Seals what is written and unseals what is read, each object under a data key of its own."""

from __future__ import annotations

import asyncio
import hmac
import os
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, StoreError
from haulyard.fs.encryption import envelope as envelopes
from haulyard.fs.encryption.envelope import COMMITTING, Envelope, refusal
from haulyard.fs.encryption.suites import (
    MAX_PLAINTEXT,
    MESSAGE_ID_BYTES,
    TAG_BYTES,
    ContentKey,
    Sealing,
    committing,
    not_committing,
    seal_at_once,
)
from haulyard.fs.encryption.unsealing import PIECE, Plaintext, release_early, verified, verified_at_once
from haulyard.fs.encryption.wrapping import KmsKey, LocalKey, WrappingKey
from haulyard.stores.kms import Kms

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from haulyard.fs.encryption.model import ClientSideEncryption
    from haulyard.models import ObjectHead
    from haulyard.models.body import Buffer
    from haulyard.stores.assemble import Connection

# OpenSSL holds the interpreter's lock while it encrypts, so that a thread would bring nothing; a piece takes
# 60 µs at 4 GiB/s, and after so many bytes others have their turn.
_TURN = 4 * 1024 * 1024


class Sealed(NamedTuple):
    """A content that is encrypted while it is sent.

    ``chunks`` can be read once. ``size`` is that of the ciphertext in bytes, None where the plaintext's was
    not known. ``metadata`` goes with the object.
    """

    chunks: AsyncIterator[bytes]
    metadata: dict[str, str]
    size: int | None


class SealedBytes(NamedTuple):
    """An encrypted content in memory, to be sent as often as it takes, and the metadata that goes with it."""

    body: bytes | bytearray
    metadata: dict[str, str]


class Encrypter:
    """Encrypts and decrypts objects as `ClientSideEncryption` says; any number at the same time.

    ``connection`` is asked for its credentials where the key is one of KMS.

    Raises:
        ConfigError: The package ``cryptography`` is not installed.
    """

    def __init__(self, wanted: ClientSideEncryption, connection: Connection) -> None:
        _check_installed()
        self._wanted = wanted
        self._key: WrappingKey
        if wanted.wrapping_key is not None:
            self._key = LocalKey(wanted.wrapping_key, wanted.context)
        else:
            kms = Kms(connection, wanted.kms_endpoint_url)
            self._key = KmsKey(kms, wanted.kms_key_id, wanted.context)

    async def seal(self, chunks: AsyncIterable[Buffer], size: int | None = None) -> Sealed:
        """Return what encrypts ``chunks`` as they come, in constant memory.

        ``size`` is their number of bytes, where it is known. The stream raises `StoreError` where other than
        ``size`` bytes come, or more than 64 GiB, so that nothing is completed.

        Raises:
            StoreError: ``size`` is more than one key may encrypt (64 GiB - 32 bytes).
            S3Error: KMS made no data key.
        """
        _check_size(size or 0)
        key, metadata = await self._new_key()
        return Sealed(_seal(key, chunks, size), metadata, None if size is None else size + TAG_BYTES)

    async def seal_bytes(self, data: Buffer) -> SealedBytes:
        """Return ``data`` encrypted. Raises as `seal`."""
        view = memoryview(data).cast("B")
        _check_size(view.nbytes)
        key, metadata = await self._new_key()
        if view.nbytes <= PIECE:
            return SealedBytes(seal_at_once(key, view), metadata)
        cipher = Sealing(key)
        body = bytearray(view.nbytes + TAG_BYTES)
        with memoryview(body) as place:
            for start in range(0, view.nbytes, PIECE):
                cipher.update_into(view[start : start + PIECE], place[start : start + PIECE + TAG_BYTES])
                if (start + PIECE) % _TURN == 0:
                    await asyncio.sleep(0)
            place[view.nbytes :] = cipher.finish()
        return SealedBytes(body, metadata)

    async def unseal(
        self, head: ObjectHead, chunks: AsyncIterable[Buffer], *, bucket: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield the plaintext of an object that ``head`` describes and ``chunks`` are all bytes of.

        All of it is verified before the first byte is given, unless ``delayed_auth`` was asked for.

        Raises:
            S3IntegrityError: The object is not encrypted, was changed or cut, or belongs to another key.
            S3Error: KMS did not answer, or refused the caller.
        """
        if self._wanted.delayed_auth:
            key = await self._key_of(head, bucket)
            async for piece in release_early(key, head, chunks, bucket):
                yield piece
            return
        if head.size <= min(PIECE, self._wanted.memory):
            plain = await verified_at_once(await self._key_of(head, bucket), head, chunks, bucket)
            if plain:
                yield plain
            return
        async with await self.open(head, chunks, bucket=bucket) as plaintext:
            async for piece in plaintext.chunks():
                yield piece

    async def open(self, head: ObjectHead, chunks: AsyncIterable[Buffer], *, bucket: str = "") -> Plaintext:
        """Return an object's plaintext, verified, of which any range can be read. Close it.

        Verifies always, whatever ``delayed_auth`` says. Raises as `unseal`.
        """
        key = await self._key_of(head, bucket)
        return await verified(
            key, head, chunks, bucket, memory=self._wanted.memory, directory=self._wanted.spool_dir
        )

    async def _new_key(self) -> tuple[ContentKey, dict[str, str]]:
        made = await self._key.new()
        message_id = os.urandom(MESSAGE_ID_BYTES)
        derived = committing(made.plain.reveal(), message_id)
        envelope = Envelope(
            COMMITTING,
            self._key.wrapping,
            made.wrapped,
            made.context,
            message_id=message_id,
            commitment=derived.value,
        )
        return derived.content_key, envelopes.written(envelope)

    async def _key_of(self, head: ObjectHead, bucket: str) -> ContentKey:
        envelope = envelopes.read(head, bucket, allow_uncommitted=self._wanted.allow_uncommitted)
        if head.size < TAG_BYTES:
            raise refusal(head, bucket, f"{head.size} bytes are less than the tag that verifies them")
        if head.size > MAX_PLAINTEXT + TAG_BYTES:
            raise refusal(head, bucket, f"{head.size} bytes are more than one key may encrypt")
        if envelope.wrapping != self._key.wrapping:
            raise refusal(
                head,
                bucket,
                f"its data key is wrapped by {envelope.wrapping}, the key here is for {self._key.wrapping}",
                "read it with the kind of key that it was written with",
            )
        data_key = (await self._key.unwrap(envelope, head, bucket)).reveal()
        if envelope.suite != COMMITTING:
            return not_committing(data_key, envelope.nonce)
        return _committed(data_key, envelope, head, bucket)


def _committed(data_key: bytes, envelope: Envelope, head: ObjectHead, bucket: str) -> ContentKey:
    derived = committing(data_key, envelope.message_id)
    if not hmac.compare_digest(derived.value, envelope.commitment):
        raise refusal(head, bucket, "its key commitment is not that of its data key")
    return derived.content_key


async def _seal(key: ContentKey, chunks: AsyncIterable[Buffer], size: int | None) -> AsyncIterator[bytes]:
    cipher = Sealing(key)
    seen = 0
    async for chunk in chunks:
        view = memoryview(chunk).cast("B")
        seen += view.nbytes
        _check_size(seen)
        if size is not None and seen > size:
            raise StoreError(f"more bytes came than the {size} that were said", operation="encrypt")
        for start in range(0, view.nbytes, PIECE):
            yield cipher.update(view[start : start + PIECE])
    if size is not None and seen < size:
        raise StoreError(f"{seen} bytes came of the {size} that were said", operation="encrypt")
    yield cipher.finish()


def _check_size(size: int) -> None:
    if size > MAX_PLAINTEXT:
        raise StoreError(
            f"an encrypted object has at most {MAX_PLAINTEXT} bytes (64 GiB - 32)",
            operation="encrypt",
            hint="write it as several objects",
        )


def _check_installed() -> None:
    try:
        import cryptography  # noqa: F401 -- only whether it is there
    except ImportError:
        raise ConfigError(
            "client-side encryption needs the package cryptography", hint="pip install 'haulyard[encryption]'"
        ) from None
