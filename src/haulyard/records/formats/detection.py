"""What an object holds, by its name and else by its first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from haulyard.records.model import Compression, Format

#: Bytes of an object's beginning that are looked at.
HEAD: Final = 64 * 1024

_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED: Final[dict[str, Compression]] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".bz2": "bz2",
}
_MAGIC: Final[tuple[tuple[bytes, Compression], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    # Frames that are to be skipped: pzstd and seekable files have one before all others.
    *((bytes((first, 0x2A, 0x4D, 0x18)), "zstd") for first in range(0x50, 0x60)),
    (b"BZh", "bz2"),
)
PARQUET_MAGIC: Final = b"PAR1"


def compression_of(key: str, head: bytes) -> Compression:
    """Tell how an object is compressed that begins with ``head``; ``""`` where it is not.

    A name that promises compression is not believed against the bytes: some clients inflate on the way.
    """
    for magic, compression in _MAGIC:
        if head.startswith(magic):
            # These three letters may begin a text as well.
            is_meant = magic != b"BZh" or promised_compression(key) == "bz2" or _is_binary(head)
            return compression if is_meant else ""
    return ""


def format_of(key: str, head: bytes = b"") -> Format | None:
    """Tell the format of an object whose inflated text begins with ``head``.

    None only where the name says nothing, or too little, and there is no ``head`` to look at.
    """
    name = key.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    named = next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)
    if named not in {None, "json"} or not head:
        return named if named != "json" else None
    return _told_by(head, named)


def _told_by(head: bytes, named: Format | None) -> Format:
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        first, ended, rest = text.partition(b"\n")
        return "jsonl" if ended and rest.strip() and _is_json(first) else "json"
    if text.startswith(b"["):
        return "json"
    return named or "csv"


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def promised_compression(key: str) -> Compression:
    """Tell how an object is compressed by its name alone."""
    return next((form for suffix, form in _COMPRESSED.items() if key.lower().endswith(suffix)), "")


def _is_binary(head: bytes) -> bool:
    """Whether ``head`` has what no text has: then its magic is meant."""
    return b"\x00" in head or not head.isascii()
