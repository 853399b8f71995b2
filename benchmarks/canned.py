"""Listings made beforehand: nginx hands out pages of ListObjectsV2, so that only the client's work is timed.

Each page exists twice: with keys encoded, for those who ask for ``encoding-type=url``, and plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Keys of one page: S3's own maximum.
PAGE = 1_000
_KINDS: dict[str, tuple[str, Callable[[str], str]]] = {
    "plain": ("", str),
    "url": ("<EncodingType>url</EncodingType>", lambda key: quote(key, safe="/~")),
}
_FIRST = "first"

MAPS = """
  map $args $encoding { default plain; "~(?:^|&)encoding-type=url" url; }
  map $args $page { default first; "~(?:^|&)continuation-token=(?<token>[0-9a-z]+)" $token; }
"""


def locations(pages: Mapping[str, str]) -> str:
    """Return the part of nginx's configuration that answers listings: bucket names to names of their pages.

    A bucket may be asked for with or without a slash behind it; HeadBucket gets its 200 as well.
    """
    return "".join(
        f"    location = /{bucket}{slash} {{ default_type application/xml;"
        f" try_files /pages/{name}/$encoding/$page =404; }}\n"
        for bucket, name in pages.items()
        for slash in ("", "/")
    )


def write_pages(root: Path, name: str, keys: int) -> None:
    """Write the pages of a listing of ``keys`` objects under ``root/pages/name``."""
    for kind, (element, encode) in _KINDS.items():
        directory = root / "pages" / name / kind
        directory.mkdir(parents=True)
        for start in range(0, max(keys, 1), PAGE):
            count = min(PAGE, keys - start)
            token = f"p{start + count}" if start + count < keys else ""
            page = _FIRST if start == 0 else f"p{start}"
            entries = "".join(_entry(number, encode) for number in range(start, start + count))
            (directory / page).write_text(
                _head(name, element, count, token) + entries + "</ListBucketResult>"
            )


def _head(bucket: str, encoding: str, count: int, token: str) -> str:
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix></Prefix>{following}<KeyCount>{count}</KeyCount>"
        f"<MaxKeys>{PAGE}</MaxKeys>{encoding}<IsTruncated>{str(bool(token)).lower()}</IsTruncated>"
    )


def _entry(number: int, encode: Callable[[str], str]) -> str:
    # Counted so that the keys are in UTF-8 byte order, as S3 lists them.
    day, hour = divmod(number // 500, 24)
    key = f"events/day={day:04}/hour={hour:02}/part-{number:07}-c000.snappy.parquet"
    return (
        f"<Contents><Key>{encode(key)}</Key>"
        f"<LastModified>2026-01-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:07.000Z</LastModified>"
        f"<ETag>&quot;{number * 0x9E3779B97F4A7C15 % (1 << 128):032x}&quot;</ETag>"
        "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        f"<Size>{number * 7919 % 50_000_000}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )
