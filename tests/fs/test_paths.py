"""No path leads out of the prefix, and each key has one path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError, UnsafeName
from haulyard.fs.paths import MAX_KEY, check_prefix, directory_key, file_key, parent_of, path_of, plain

PREFIX = "tenants/7/"


@pytest.mark.parametrize(
    ("path", "text", "is_dir"),
    [
        ("", "", True),
        ("/", "", True),
        (".", "", True),
        ("//", "", True),
        ("a", "a", False),
        ("/a", "a", False),
        ("a/b", "a/b", False),
        ("/a//b/./c", "a/b/c", False),
        ("a/", "a", True),
        ("a/.", "a", True),
        ("a//", "a", True),
        ("...", "...", False),
        ("..a/b..", "..a/b..", False),
        ("a b/ü/😀", "a b/ü/😀", False),
        (" ", " ", False),
        ("a\nb", "a\nb", False),
        ("~/%2e%2e/x", "~/%2e%2e/x", False),
        ("a\\..\\b", "a\\..\\b", False),
    ],
)
def test_paths_have_one_form(path: str, text: str, is_dir: bool) -> None:
    assert plain(path) == (text, is_dir)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("..", "'..'"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a/..", "'..'"),
        ("/../a", "'..'"),
        ("a\0b", "NUL"),
        ("\ud800", "Unicode"),
        ("x" * 1025, "1025 bytes"),
        ("ü" * 513, "1026 bytes"),
    ],
)
def test_what_is_no_path_is_refused_and_named(path: str, why: str) -> None:
    with pytest.raises(UnsafeName, match=why) as caught:
        plain(path)
    assert caught.value.key == path
    assert caught.value.hint


def test_the_limit_is_that_of_the_key_to_the_byte() -> None:
    room = MAX_KEY - len(PREFIX)
    assert len(file_key("x" * room, PREFIX)) == MAX_KEY
    with pytest.raises(UnsafeName, match="1025 bytes"):
        file_key("x" * (room + 1), PREFIX)
    assert len(directory_key("x" * (room - 1), PREFIX)) == MAX_KEY
    with pytest.raises(UnsafeName, match="1025 bytes"):
        directory_key("x" * room, PREFIX)


@pytest.mark.parametrize("path", ["", "/", "a/", "a/.", "."])
def test_a_file_has_no_slash_at_its_end(path: str) -> None:
    with pytest.raises(UnsafeName, match="directory"):
        file_key(path, PREFIX)


def test_directories_are_prefixes_of_keys() -> None:
    assert directory_key("", PREFIX) == PREFIX
    assert directory_key("a", PREFIX) == directory_key("/a//", PREFIX) == "tenants/7/a/"
    assert directory_key("", "") == ""


@pytest.mark.parametrize(
    "key", ["", "/", "a//b", "/a", "a/./b", "../a", "a/..", ".haul-probe-1/x", "a/.haul-probe-1/"]
)
def test_some_keys_have_no_path(key: str) -> None:
    assert path_of(PREFIX + key, PREFIX) is None


def test_keys_with_a_path_are_found_again() -> None:
    assert path_of("tenants/7/a/b", PREFIX) == "a/b"
    assert path_of("tenants/7/a/", PREFIX) == "a"
    assert path_of("a.haul-probe-1", "") == "a.haul-probe-1"


@given(st.text(st.characters(exclude_categories=()), max_size=40) | st.text("./ab\0", max_size=12))
def test_no_path_leads_out_and_every_key_leads_back(path: str) -> None:
    try:
        key = file_key(path, PREFIX)
    except UnsafeName:
        return
    inner = key.removeprefix(PREFIX)
    assert key == PREFIX + inner
    assert not {"", ".", ".."} & set(inner.split("/"))
    assert path_of(key, PREFIX) == inner
    assert file_key(inner, PREFIX) == key
    assert len(key.encode()) <= MAX_KEY


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", "...", "a b"]), max_size=6).map("/".join))
def test_the_form_is_stable(path: str) -> None:
    try:
        text, is_dir = plain(path)
    except UnsafeName:
        assert ".." in path.split("/")
        return
    assert plain(text) == (text, not text)
    assert plain(f"{text}/") == (text, True)
    assert is_dir == (not text or path.endswith(("/", "/.")))


def test_the_root_is_its_own_parent() -> None:
    assert [parent_of(path) for path in ("", "a", "a/b/c")] == ["", "", "a/b"]


@pytest.mark.parametrize(
    ("prefix", "checked"),
    [("", ""), ("/", ""), ("a", "a/"), ("a/", "a/"), ("/a/b", "a/b/"), ("ü/1", "ü/1/")],
)
def test_prefixes_end_in_their_slash(prefix: str, checked: str) -> None:
    assert check_prefix(prefix) == checked


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", "./a", "a/.", "a\0", "x" * 1023, "//"])
def test_prefixes_that_lead_elsewhere_are_refused(prefix: str) -> None:
    with pytest.raises(ConfigError):
        check_prefix(prefix)
