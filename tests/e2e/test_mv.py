"""mv as its users meet it: nothing is lost, whatever the two ends are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.crash.gate import Gate
from tests.e2e.conftest import Program
from tests.e2e.saying import says

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.conftest import Server

Tree = dict[str, bytes]
TREE: Tree = {"a": b"", "d/b": b"b" * 300_000, "d/c": b"c" * 9_000_000}


def write(root: Path, tree: Mapping[str, bytes]) -> None:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(root: Path) -> Tree:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def keys(haul: Program, url: str) -> list[str]:
    return [event["key"] for event in haul.ok("ls", "-r", "--json", url).events]


def test_trees_go_up_across_and_down(haul: Program, bucket: str) -> None:
    write(haul.cwd / "src", TREE)
    up = haul.ok("mv", "src/", f"{bucket}/one/", "--json").events
    assert [event["action"] for event in up] == ["move"] * 3
    assert all(event["verified"] == "checksum" for event in up)
    assert read(haul.cwd / "src") == {}
    haul.ok("mv", f"{bucket}/one/", f"{bucket}/two/")
    other = ["--source-endpoint-url", haul.environ["AWS_ENDPOINT_URL_S3"].replace("127.0.0.1", "localhost")]
    haul.ok("mv", f"{bucket}/two/", f"{bucket}/three/", "--verify", "checksum", *other)
    assert keys(haul, bucket) == ["three/a", "three/d/b", "three/d/c"]
    haul.ok("mv", f"{bucket}/three/", "back/")
    assert read(haul.cwd / "back") == TREE
    assert keys(haul, bucket) == []
    says(haul("mv", f"{bucket}/three/", "back/"), 4, "nothing under")


def test_one_bucket_under_two_endpoints_is_not_emptied(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/d/k", stdin=b"only copy")
    other = ["--source-endpoint-url", haul.environ["AWS_ENDPOINT_URL_S3"].replace("127.0.0.1", "localhost")]
    says(
        haul("mv", f"{bucket}/d/k", f"{bucket}/d/k", *other), 1, "seems to be its own destination", "haul rm"
    )
    assert haul("mv", f"{bucket}/d/", f"{bucket}/d/", *other).code == 1
    assert haul.ok("cat", f"{bucket}/d/k").raw == b"only copy"


def test_a_tree_into_itself_moves_what_is_not_there_yet(haul: Program, bucket: str) -> None:
    for key in ("a", "b/c", "sub/old"):
        haul.ok("put", "-", f"{bucket}/{key}", stdin=key.encode())
    done = haul.ok("mv", f"{bucket}/", f"{bucket}/sub/")
    assert "lies under the destination already" in done.out
    assert keys(haul, bucket) == ["sub/a", "sub/b/c", "sub/old"]


def test_what_exists_stays_with_its_source(haul: Program, bucket: str) -> None:
    write(haul.cwd, {"src/a": b"new", "src/b": b"new"})
    haul.ok("put", "-", f"{bucket}/a", stdin=b"old")
    haul.ok("mv", "src/", f"{bucket}/", "--no-clobber")
    assert read(haul.cwd / "src") == {"a": b"new"}
    assert haul.ok("cat", f"{bucket}/a").raw == b"old"
    haul.ok("mv", "src/", f"{bucket}/")
    assert haul.ok("cat", f"{bucket}/a").raw == b"new"


def test_a_dry_run_moves_nothing(haul: Program, bucket: str) -> None:
    write(haul.cwd, {"src/a": b"x"})
    assert haul.ok("mv", "src/", f"{bucket}/", "-n").out.startswith("move: ")
    assert read(haul.cwd / "src") == {"a": b"x"}
    assert keys(haul, bucket) == []


def test_a_file_that_is_written_to_after_it_was_sent_stays(
    haul: Program, bucket: str, seaweedfs: Server
) -> None:
    path = haul.cwd / "log"
    path.write_bytes(b"x")
    port = urlsplit(seaweedfs.endpoint_url).port
    assert port is not None

    def append() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with Gate(port) as gate:
        # Counted from the last piece: the answer to the write has to be under way.
        behind = Program(haul.cwd, {**haul.environ, "AWS_ENDPOINT_URL_S3": gate.url})
        behind.ok("cp", "log", f"{bucket}/log")
        gate.expect(gate.pieces, append)
        done = behind("mv", "log", f"{bucket}/log")
    says(done, 1, "log was replaced after it was copied; it was not deleted", "again")
    assert path.read_bytes() == b"xmore"


def test_a_source_that_may_not_be_deleted_is_told(haul: Program, bucket: str) -> None:
    write(haul.cwd, {"real/f": b"x"})
    os.symlink("real", haul.cwd / "linked")
    (haul.cwd / "src").mkdir()
    os.symlink("../real", haul.cwd / "src/through")
    done = haul("mv", "src/", f"{bucket}/")
    assert done.code == 1
    assert "was copied to" in done.err
    assert "but not deleted" in done.err
    assert read(haul.cwd / "real") == {"f": b"x"}
    # A link given as the source itself is the user's own word.
    haul.ok("mv", "linked/", f"{bucket}/named/")
    assert read(haul.cwd / "real") == {}
