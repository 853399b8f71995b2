"""What an encrypted object's metadata says of its keys: written, read, and refused. Pure.

Source: "AWS Encryption SDK specification", s3-encryption/data-format/content-metadata.md.
"""

from __future__ import annotations

import json
from binascii import Error as NotBase64
from binascii import a2b_base64
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from haulyard.checksums import base64_of
from haulyard.errors import ConfigError, S3IntegrityError
from haulyard.fs.encryption.model import CIPHER_IN_CONTEXT
from haulyard.fs.encryption.suites import COMMITMENT_BYTES, MESSAGE_ID_BYTES, NONCE_BYTES, TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import ObjectHead

# Version 3, of suite 0x0073.
_SUITE, _DATA_KEY, _WRAPPING = "x-amz-c", "x-amz-3", "x-amz-w"
_COMMITMENT, _MESSAGE_ID = "x-amz-d", "x-amz-i"
_KMS_CONTEXT, _DESCRIPTION = "x-amz-t", "x-amz-m"
# Version 2, of suite 0x0072.
_SUITE_2, _DATA_KEY_2, _WRAPPING_2 = "x-amz-cek-alg", "x-amz-key-v2", "x-amz-wrap-alg"
_NONCE_2, _CONTEXT_2, _TAG_BITS_2 = "x-amz-iv", "x-amz-matdesc", "x-amz-tag-len"
# Version 1, of AES-CBC, which verifies nothing.
_DATA_KEY_1 = "x-amz-key"
_INSTRUCTION_FILE = "x-amz-crypto-instr-file"
_PLAIN_LENGTH = "x-amz-unencrypted-content-length"

_VERSION_3 = frozenset({_SUITE, _DATA_KEY, _WRAPPING, _COMMITMENT, _MESSAGE_ID, _KMS_CONTEXT, _DESCRIPTION})
_VERSION_2 = frozenset({_SUITE_2, _DATA_KEY_2, _WRAPPING_2, _NONCE_2, _CONTEXT_2, _TAG_BITS_2})
#: Every key of metadata that belongs to the format.
ENVELOPE_KEYS = _VERSION_3 | _VERSION_2 | {_DATA_KEY_1, _INSTRUCTION_FILE, _PLAIN_LENGTH}

#: What ``x-amz-c`` says of suite 0x0073: its number, in decimal.
COMMITTING = "115"
NOT_COMMITTING = "AES/GCM/NoPadding"
LOCAL, KMS = "AES/GCM", "kms+context"
_WRAPPINGS = MappingProxyType({"02": LOCAL, "12": KMS, "22": "RSA-OAEP-SHA1"})
_CODES = MappingProxyType({LOCAL: "02", KMS: "12"})


class Envelope(NamedTuple):
    """How one object was encrypted.

    ``suite`` is `COMMITTING` or `NOT_COMMITTING`, ``wrapping`` `LOCAL` or `KMS`. ``data_key`` is wrapped.
    ``context`` is as it is stored: that of KMS with the cipher's name in it, or a material description.
    ``message_id`` and ``commitment`` belong to the one suite, ``nonce`` to the other.
    """

    suite: str
    wrapping: str
    data_key: bytes
    context: Mapping[str, str]
    message_id: bytes = b""
    commitment: bytes = b""
    nonce: bytes = b""


def is_sealed(metadata: Mapping[str, str]) -> bool:
    """Return whether an object with this metadata (lower-case keys) claims to be encrypted by a client."""
    return not ENVELOPE_KEYS.isdisjoint(metadata)


def own_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what of an object's metadata its writer gave."""
    return {key: value for key, value in metadata.items() if key not in ENVELOPE_KEYS}


def check_own(metadata: Mapping[str, str]) -> None:
    """Refuse metadata of a writer's own that would be taken for the format's: nobody could read the object.

    Raises:
        ConfigError: One of its names belongs to the format.
    """
    taken = sorted(ENVELOPE_KEYS.intersection(name.lower() for name in metadata))
    if taken:
        raise ConfigError(
            f"the metadata entry {taken[0]} belongs to client-side encryption", hint="choose another name"
        )


def plaintext_size(head: ObjectHead) -> int:
    """Return the bytes of an object's plaintext; of one that is not encrypted, its own size."""
    return max(head.size - TAG_BYTES, 0) if is_sealed(head.metadata) else head.size


def written(envelope: Envelope) -> dict[str, str]:
    """Return the metadata of version 3 for what was just encrypted."""
    described = json.dumps(dict(envelope.context))
    return {
        _SUITE: envelope.suite,
        _WRAPPING: _CODES[envelope.wrapping],
        _DATA_KEY: base64_of(envelope.data_key),
        _COMMITMENT: base64_of(envelope.commitment),
        _MESSAGE_ID: base64_of(envelope.message_id),
        _KMS_CONTEXT if envelope.wrapping == KMS else _DESCRIPTION: described,
    }


def read(head: ObjectHead, bucket: str, *, allow_uncommitted: bool) -> Envelope:
    """Return how an object was encrypted.

    Raises:
        S3IntegrityError: Not at all, in a format that is refused, or the metadata contradicts itself.
    """
    reader = _Reader(head, bucket)
    keys = ENVELOPE_KEYS & head.metadata.keys()
    if not keys:
        reader.refuse(
            "it is not encrypted",
            "with client-side encryption only encrypted objects are read: whoever may write to the bucket"
            " could have put this one there",
        )
    if _INSTRUCTION_FILE in keys:
        reader.refuse("it is an instruction file, which holds the keys of another object")
    if len(keys & {_DATA_KEY, _DATA_KEY_2, _DATA_KEY_1}) > 1 or (keys & _VERSION_3 and keys & _VERSION_2):
        reader.refuse("its metadata mixes the keys of several formats, as no client writes it")
    if _DATA_KEY_1 in keys:
        reader.refuse(
            "its format (AES-CBC) can be changed without being noticed",
            "read it with the client that wrote it",
        )
    if _DATA_KEY in keys:
        return reader.version_3()
    if _DATA_KEY_2 in keys:
        return reader.version_2(allowed=allow_uncommitted)
    raise refusal(
        head,
        bucket,
        "its data key is not in its metadata; it may be in an instruction file, and those are not read",
        "copy it with the client that wrote it, with the key in the metadata",
    )


class _Reader:
    def __init__(self, head: ObjectHead, bucket: str) -> None:
        self._head = head
        self._bucket = bucket

    def version_3(self) -> Envelope:
        suite = self._text(_SUITE)
        if suite != COMMITTING:
            self.refuse(f"{_SUITE} names the algorithm {suite!r} instead of {COMMITTING}")
        code = self._text(_WRAPPING)
        wrapping = self._wrapping(_WRAPPINGS.get(code, code))
        return Envelope(
            suite,
            wrapping,
            self._bytes(_DATA_KEY),
            self._context(_KMS_CONTEXT if wrapping == KMS else _DESCRIPTION, wrapping, suite),
            message_id=self._bytes(_MESSAGE_ID, MESSAGE_ID_BYTES),
            commitment=self._bytes(_COMMITMENT, COMMITMENT_BYTES),
        )

    def version_2(self, *, allowed: bool) -> Envelope:
        suite = self._text(_SUITE_2)
        if suite != NOT_COMMITTING:
            self.refuse(f"{_SUITE_2} names the algorithm {suite!r}, which is refused")
        if not allowed:
            self.refuse(
                "its format (0x0072) does not commit to a key",
                "allow_uncommitted=True reads what older clients wrote",
            )
        if self._head.metadata.get(_TAG_BITS_2, "128") != "128":
            self.refuse(f"{_TAG_BITS_2} names a tag of another length than 128 bits")
        wrapping = self._wrapping(self._text(_WRAPPING_2))
        return Envelope(
            suite,
            wrapping,
            self._bytes(_DATA_KEY_2),
            self._context(_CONTEXT_2, wrapping, suite),
            nonce=self._bytes(_NONCE_2, NONCE_BYTES),
        )

    def refuse(self, reason: str, hint: str = "") -> NoReturn:
        raise refusal(self._head, self._bucket, reason, hint)

    def _wrapping(self, name: str) -> str:
        if name not in _CODES:
            self.refuse(f"its data key is wrapped by {name!r}, which is not supported")
        return name

    def _context(self, key: str, wrapping: str, suite: str) -> Mapping[str, str]:
        try:
            context = json.loads(self._head.metadata.get(key) or "{}")
        except (ValueError, RecursionError):
            self.refuse(f"{key} is no JSON")
        if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
            self.refuse(f"{key} is no object of texts")
        # KMS binds it to the data key: a key that was made for one suite opens nothing as the other.
        if wrapping == KMS and context.get(CIPHER_IN_CONTEXT) != suite:
            self.refuse(f"its data key was made for {context.get(CIPHER_IN_CONTEXT)!r}, not for {suite!r}")
        return context

    def _text(self, key: str) -> str:
        text = self._head.metadata.get(key)
        if text is None:
            self.refuse(f"{key} is missing")
        return text

    def _bytes(self, key: str, size: int = 0) -> bytes:
        try:
            found = a2b_base64(self._text(key), strict_mode=True)
        except (NotBase64, ValueError):
            self.refuse(f"{key} is no base64")
        if size and len(found) != size:
            self.refuse(f"{key} has {len(found)} bytes instead of {size}")
        return found


def refusal(head: ObjectHead, bucket: str, reason: str, hint: str = "") -> S3IntegrityError:
    """Return the error of an object that is not decrypted, for that reason."""
    return S3IntegrityError(
        f"s3://{bucket}/{head.key} is not decrypted: {reason}",
        operation="decrypt",
        bucket=bucket,
        key=head.key,
        hint=hint or "it was changed or damaged: restore an older version, or write it again",
    )
