from __future__ import annotations

import re

import pytest

from haulyard.errors import ConfigError
from haulyard.journal.names import check_name, derived_name


def test_a_name_reads_as_what_the_job_does() -> None:
    assert re.fullmatch(r"move-photos-2024-[0-9a-f]{8}", derived_name("move", "s3://Photos/2024/", "x"))


def test_the_same_parts_give_the_same_name() -> None:
    assert derived_name("move", "s3://a/", "b") == derived_name("move", "s3://a/", "b")


@pytest.mark.parametrize(
    "other",
    [
        ("copy", "s3://a/", "b", "c"),
        ("move", "s3://a", "b", "c"),
        ("move", "s3://a/", "bc", ""),
        ("move", "s3://a/", "b", "c", ""),
        ("move", "s3://a/", 'b","c'),
    ],
)
def test_any_other_part_or_cut_gives_another_name(other: tuple[str, ...]) -> None:
    assert derived_name(*other) != derived_name("move", "s3://a/", "b", "c")


@pytest.mark.parametrize(
    "source", ["s3://" + "b" * 63 + "/" + "é" * 300, "s3:///", "/", "", "s3://x/\udcff", "---"]
)
def test_a_derived_name_is_a_good_name_whatever_the_source(source: str) -> None:
    name = derived_name("move", source)
    check_name(name)
    assert len(name) <= len("move-") + 40 + len("-3f9a01c2")


def test_a_password_or_signature_in_a_url_is_not_in_the_name() -> None:
    name = derived_name("copy", "https://me:hunter2@host/bucket/key?X-Amz-Signature=abcdef")
    assert name.startswith("copy-host-bucket-key-")


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a b", "é", "a\n", "x" * 101, "a\0"])
def test_what_would_be_no_safe_directory_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a job"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "-", "A.b_c-9", "x" * 100])
def test_good_names_pass(name: str) -> None:
    check_name(name)
