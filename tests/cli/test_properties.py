"""What the property flags say."""

from __future__ import annotations

import base64
from argparse import ArgumentParser
from typing import TYPE_CHECKING

import pytest

from haulyard.cli import flags
from haulyard.cli.properties import customer_encryption, http_date, put_options
from haulyard.errors import ConfigError
from haulyard.models import Encryption, Secret

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.models import PutOptions

KEY = bytes(range(32))


def read(*words: str) -> PutOptions:
    parser = ArgumentParser()
    flags.add(parser, flags.PROPERTIES, flags.CUSTOMER_KEY)
    return put_options(parser.parse_args(words))


def test_nothing_given_asks_for_nothing() -> None:
    from haulyard.models import PutOptions

    assert read() == PutOptions()


def test_everything_given_arrives() -> None:
    put = read(
        *("--storage-class", "standard_ia", "--acl", "private", "--metadata", "a=b=c", "--metadata", "d="),
        *(
            "--tag",
            "t=1",
            "--content-type",
            "x/y",
            "--content-encoding",
            "gzip",
            "--cache-control",
            "no-store",
        ),
        *("--content-disposition", "inline", "--content-language", "de", "--expires", "2030-01-31T12:00:00Z"),
    )
    assert (put.storage_class, put.acl, put.content_type) == ("STANDARD_IA", "private", "x/y")
    assert put.metadata == {"a": "b=c", "d": ""}
    assert put.tags == {"t": "1"}
    assert (put.content_encoding, put.cache_control) == ("gzip", "no-store")
    assert (put.content_disposition, put.content_language) == ("inline", "de")
    assert put.expires == "Thu, 31 Jan 2030 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Thu, 31 Jan 2030 12:00:00 GMT", "Thu, 31 Jan 2030 12:00:00 GMT"),
        ("2030-01-31T12:00:00", "Thu, 31 Jan 2030 12:00:00 GMT"),
        ("2030-01-31T12:00:00+02:00", "Thu, 31 Jan 2030 10:00:00 GMT"),
        ("2030-01-31", "Thu, 31 Jan 2030 00:00:00 GMT"),
    ],
)
def test_dates(text: str, date: str) -> None:
    assert http_date(text) == date


def test_encryption() -> None:
    assert read("--sse", "AES256").encryption == Encryption("AES256")
    assert read("--sse", "aws:kms", "--sse-kms-key-id", "k").encryption == Encryption("aws:kms", "k")
    assert read("--sse-kms-key-id", "k").encryption == Encryption("aws:kms", "k")


def test_a_customer_key_is_raw_or_base64(tmp_path: Path) -> None:
    raw, text = tmp_path / "raw", tmp_path / "text"
    raw.write_bytes(KEY)
    text.write_bytes(base64.b64encode(KEY) + b"\n")
    expected = Encryption("SSE-C", customer_key=Secret(KEY))
    assert read("--sse-c-key-file", str(raw)).encryption == expected
    assert customer_encryption(str(text)) == expected
    assert customer_encryption("") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metadata", "a"], "--metadata 'a' is not KEY=VALUE"),
        (["--tag", "=a"], "--tag '=a' is not KEY=VALUE"),
        (["--tag", "a=1", "--tag", "a=2"], "gives a twice"),
        (["--expires", "soon"], "is not a date"),
        (["--sse", "AES256", "--sse-kms-key-id", "k"], "does not go with"),
        (["--sse-c-key-file", "/dev/null"], "does not hold an SSE-C key"),
        (["--sse-c-key-file", "/nowhere/key"], "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(*words)


def test_two_kinds_of_encryption_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    with pytest.raises(ConfigError, match="exclude each other"):
        read("--sse", "AES256", "--sse-c-key-file", str(tmp_path / "key"))
