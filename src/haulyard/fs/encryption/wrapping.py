"""Who makes, wraps and unwraps data keys: a key on this machine, or AWS KMS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from haulyard.errors import S3IntegrityError
from haulyard.fs.encryption.envelope import COMMITTING, KMS, LOCAL, Envelope, refusal
from haulyard.fs.encryption.model import CIPHER_IN_CONTEXT, KEY_BYTES
from haulyard.fs.encryption.suites import NONCE_BYTES
from haulyard.models import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import ObjectHead
    from haulyard.stores.kms import Kms

_CHECK_KEY = "check that the wrapping key and the context are those that the object was written with"


class DataKey(NamedTuple):
    """A new data key: in plain for this object only, wrapped for its metadata, with the context to store."""

    plain: Secret
    wrapped: bytes
    context: Mapping[str, str]


class WrappingKey(Protocol):
    """Makes data keys, and opens those of objects. ``wrapping`` is its name in an `Envelope`."""

    wrapping: str

    async def new(self) -> DataKey:
        """Return a data key that no other object has."""
        ...

    async def unwrap(self, envelope: Envelope, head: ObjectHead, bucket: str) -> Secret:
        """Return an object's data key.

        Raises:
            S3IntegrityError: It was wrapped by another key, for another context, or changed.
        """
        ...


class LocalKey:
    """An AES-256 key: AES-GCM with a random nonce, authenticated together with the suite's name.

    As the AWS SDKs' own clients do with a raw AES key: nonce, wrapped key and tag, one behind the other.
    """

    wrapping = LOCAL

    def __init__(self, key: Secret, description: Mapping[str, str]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key.reveal())
        self._description = dict(description)

    async def new(self) -> DataKey:
        """Return a data key that no other object has."""
        plain, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        wrapped = nonce + self._cipher.encrypt(nonce, plain, COMMITTING.encode())
        return DataKey(Secret(plain), wrapped, self._description)

    async def unwrap(self, envelope: Envelope, head: ObjectHead, bucket: str) -> Secret:
        """Return an object's data key (see `WrappingKey.unwrap`)."""
        from cryptography.exceptions import InvalidTag

        check_context(self._description, envelope, head, bucket)
        nonce, wrapped = envelope.data_key[:NONCE_BYTES], envelope.data_key[NONCE_BYTES:]
        try:
            plain = self._cipher.decrypt(nonce, wrapped, envelope.suite.encode())
        except (InvalidTag, ValueError):
            raise refusal(
                head, bucket, "the wrapping key is another one, or the data key was changed", _CHECK_KEY
            ) from None
        return _checked(plain, head, bucket)


class KmsKey:
    """A key of AWS KMS, which binds each data key to its context."""

    wrapping = KMS

    def __init__(self, kms: Kms, key_id: str, context: Mapping[str, str]) -> None:
        self._kms = kms
        self._key_id = key_id
        self._context = dict(context)

    async def new(self) -> DataKey:
        """Return a data key that KMS made."""
        context = {**self._context, CIPHER_IN_CONTEXT: COMMITTING}
        made = await self._kms.generate_data_key(self._key_id, context)
        return DataKey(made.plain, made.wrapped, context)

    async def unwrap(self, envelope: Envelope, head: ObjectHead, bucket: str) -> Secret:
        """Return an object's data key (see `WrappingKey.unwrap`).

        Raises:
            S3Error: KMS refused the caller, or did not answer.
        """
        check_context(self._context, envelope, head, bucket)
        try:
            plain = await self._kms.decrypt(self._key_id, envelope.data_key, envelope.context)
        except S3IntegrityError as error:
            raise refusal(
                head, bucket, "KMS does not open its data key with this key and context", _CHECK_KEY
            ) from error
        return _checked(plain.reveal(), head, bucket)


def check_context(given: Mapping[str, str], envelope: Envelope, head: ObjectHead, bucket: str) -> None:
    """Compare the caller's context with the stored one, which an attacker could have replaced.

    Raises:
        S3IntegrityError: They differ.
    """
    stored = {key: value for key, value in envelope.context.items() if key != CIPHER_IN_CONTEXT}
    if stored != given:
        differing = sorted(key for key in stored.keys() | given.keys() if stored.get(key) != given.get(key))
        raise refusal(
            head, bucket, f"it was written with another context ({', '.join(differing)})", _CHECK_KEY
        )


def _checked(plain: bytes, head: ObjectHead, bucket: str) -> Secret:
    if len(plain) != KEY_BYTES:
        raise refusal(head, bucket, f"its data key has {len(plain)} bytes instead of {KEY_BYTES}")
    return Secret(plain)
