"""cp as its users meet it: what goes where, names of every kind, and one clear line for what is wrong."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import pytest
from tests.crash.gate import Gate
from tests.e2e.conftest import PATIENCE, Done, Program
from tests.e2e.saying import says

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.conftest import Server

Tree = dict[str, bytes]
TREE: Tree = {"a.txt": b"a", "d/b.csv": b"b" * 70_000, "d/e/empty": b""}


def write(root: Path, tree: Mapping[str, bytes]) -> None:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(root: Path) -> Tree:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if not path.is_dir()}


def keys(haul: Program, url: str) -> list[str]:
    return [event["key"] for event in haul.ok("ls", "-r", "--json", url).events]


def described(haul: Program, url: str) -> tuple[str, str, dict[str, str], dict[str, str]]:
    (head,) = haul.ok("head", "--json", "--tags", url).events
    return (
        head["content_type"],
        head.get("content_language", ""),
        head.get("metadata", {}),
        head.get("tags", {}),
    )


def limited(haul: Program, limit: Callable[[], object], *words: str) -> Done:
    """Run it under a limit that is set between fork and exec."""
    done = subprocess.run(
        [haul.path, *words],
        capture_output=True,
        check=False,
        cwd=haul.cwd,
        env=haul.environ,
        timeout=PATIENCE,
        preexec_fn=limit,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


class TestWhatGoesWhere:
    """The rules of slashes, which hold whatever exists."""

    def test_trees_go_there_and_back(self, haul: Program, bucket: str) -> None:
        write(haul.cwd / "src", TREE)
        haul.ok("cp", "src/", f"{bucket}/under/")
        haul.ok("cp", "-r", "src", f"{bucket}/into/")
        haul.ok("cp", "-r", "src", f"{bucket}/as")
        for prefix in ("under", "into/src", "as"):
            assert keys(haul, f"{bucket}/{prefix}/") == sorted(f"{prefix}/{name}" for name in TREE)
        haul.ok("cp", f"{bucket}/under/", "back")
        haul.ok("cp", "-r", f"{bucket}/under", "tree")
        # Again, now that it exists: the same command does the same.
        haul.ok("cp", "-r", f"{bucket}/under", "tree")
        haul.ok("cp", "-r", f"{bucket}/under", "into/")
        assert read(haul.cwd / "back") == read(haul.cwd / "tree") == read(haul.cwd / "into/under") == TREE

    def test_one_object_goes_into_a_directory_or_gets_a_name(self, haul: Program, bucket: str) -> None:
        write(haul.cwd, {"f": b"x"})
        haul.ok("cp", "f", f"{bucket}/in/")
        haul.ok("cp", "f", f"{bucket}/named")
        haul.ok("cp", "f", bucket)
        assert keys(haul, bucket) == ["f", "in/f", "named"]
        (haul.cwd / "there").mkdir()
        for destination, path in (("there", "there/f"), ("new", "new"), ("deep/er/", "deep/er/f")):
            haul.ok("cp", f"{bucket}/f", destination)
            assert (haul.cwd / path).read_bytes() == b"x"
        haul.ok("cp", f"{bucket}/f", f"{bucket}/copy/")
        assert "copy/f" in keys(haul, bucket)

    def test_many_arguments_are_one_run(self, haul: Program, bucket: str) -> None:
        names = [f"f{number}" for number in range(300)]
        write(haul.cwd, dict.fromkeys(names, b"x"))
        write(haul.cwd / "d", {"g": b"y"})
        done = haul.ok("cp", *names, "d/", "d/g", f"{bucket}/in/", "--json")
        # d/g was named twice: the second time it is skipped.
        assert [event.get("reason", "") for event in done.events].count("") == 301
        assert len(keys(haul, bucket)) == 301
        back = haul.ok("cp", *(f"{bucket}/in/{name}" for name in names), "back/")
        assert len(back.out.splitlines()) == 300
        assert len(read(haul.cwd / "back")) == 300

    def test_wildcards_match_across_slashes_and_raw_takes_them_literally(
        self, haul: Program, bucket: str
    ) -> None:
        for key in ("x/1.gz", "x/y/2.gz", "x/3.txt", "x/*.gz"):
            haul.ok("put", "-", f"{bucket}/{key}", stdin=key.encode())
        haul.ok("cp", f"{bucket}/x/*.gz", "all/")
        assert sorted(read(haul.cwd / "all")) == ["*.gz", "1.gz", "y/2.gz"]
        haul.ok("cp", "--raw", f"{bucket}/x/*.gz", "one/")
        assert read(haul.cwd / "one") == {"*.gz": b"x/*.gz"}
        haul.ok("cp", "all/?.gz", f"{bucket}/local/")
        assert keys(haul, f"{bucket}/local/") == ["local/*.gz", "local/1.gz"]

    def test_filters_updates_and_what_exists(self, haul: Program, bucket: str) -> None:
        write(haul.cwd / "src", TREE)
        haul.ok("cp", "src/", f"{bucket}/", "--exclude", "*", "--include", "*.csv")
        assert keys(haul, bucket) == ["d/b.csv"]
        skipped = haul.ok("cp", "src/", f"{bucket}/", "--no-clobber").out.splitlines()
        assert [line for line in skipped if line.startswith("skip")] == [
            f"skip: {haul.cwd}/src/d/b.csv to {bucket}/d/b.csv (exists already)"
        ]
        os.utime(haul.cwd / "src/a.txt", (4_000_000_000, 4_000_000_000))
        newer = haul.ok("cp", "-u", "src/", f"{bucket}/").out.splitlines()
        assert [line.split()[0] for line in sorted(newer)] == ["skip:", "skip:", "upload:"]

    def test_a_dry_run_tells_what_a_run_would_do(self, haul: Program, bucket: str) -> None:
        write(haul.cwd / "src", TREE)
        haul.ok("cp", "src/a.txt", f"{bucket}/a.txt")
        done = haul.ok("cp", "src/", f"{bucket}/", "--no-clobber", "--dry-run")
        told = sorted(line.split(":")[0] + line[line.rindex(" (") :] for line in done.out.splitlines())
        assert told == ["skip (exists already)", "upload (dry run)", "upload (dry run)"]
        assert keys(haul, bucket) == ["a.txt"]
        says(haul("cp", f"{bucket}/nothing", ".", "--dry-run"), 4, "NoSuchKey")

    def test_copies_keep_properties_and_replace_them_where_asked(self, haul: Program, bucket: str) -> None:
        first, kept, replaced = (f"{bucket}/{name}" for name in ("first", "kept", "replaced"))
        properties = ("--content-type", "text/x", "--metadata", "colour=blue", "--tag", "team=data")
        haul.ok("put", "-", first, *properties, stdin=b"x")
        haul.ok("cp", first, kept)
        haul.ok("cp", first, replaced, "--content-language", "de", "--tag", "team=other")
        assert described(haul, kept) == ("text/x", "", {"colour": "blue"}, {"team": "data"})
        assert described(haul, replaced)[1:] == ("de", {}, {"team": "other"})
        # In place, too: that is how properties of an object are changed.
        haul.ok("cp", first, first, "--content-type", "text/y")
        assert described(haul, first)[0] == "text/y"


def _moto(moto: Server) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_S3": moto.endpoint_url}


def test_objects_under_the_customers_own_key_go_everywhere(haul: Program, bucket: str) -> None:
    tree = {"small": b"x", "large": bytes(range(250)) * 40_000}
    write(
        haul.cwd, {"src/small": tree["small"], "src/large": tree["large"], "k1": b"1" * 32, "k2": b"2" * 32}
    )
    first, second = ("--sse-c-key-file", "k1"), ("--sse-c-key-file", "k2")
    between = ("--source-sse-c-key-file", "k1", *second)
    other = ("--source-endpoint-url", haul.environ["AWS_ENDPOINT_URL_S3"].replace("127.0.0.1", "localhost"))
    haul.ok("cp", "src/", f"{bucket}/one/", *first)
    haul.ok("cp", f"{bucket}/one/", f"{bucket}/two/", *between)
    haul.ok("cp", f"{bucket}/one/", f"{bucket}/three/", *between, *other)
    assert haul.ok("cp", "-u", "src/", f"{bucket}/one/", *first).out.count("is not newer") == 2
    for prefix in ("two", "three"):
        haul.ok("mv", f"{bucket}/{prefix}/", f"{prefix}/", *second)
        assert read(haul.cwd / prefix) == tree
    done = haul("cp", f"{bucket}/one/", "denied/", *second)
    assert (done.code, read(haul.cwd / "denied")) == (3, {})


#: Keys and the names of their files: legal, but not what anybody would choose.
ODD = (
    "new\nline",
    "tab\tand\x1b[31mred",
    "pl+us and space",
    "per%cent%2F",
    "what?#hash",
    "ünïcödé/日本/😀",
    "quote'\"&<>",
    "back\\slash",
    "semi;colon=and,comma",
    "-dash",
    "~tilde",
    ".hidden",
    "e\u0301 combined",
    "*star",
    "x" * 255,
    "/".join(["y" * 200] * 5),
)


class TestNames:
    """Names that break others."""

    @pytest.mark.parametrize("server", ["seaweedfs", "moto"])
    def test_odd_names_go_there_and_back(
        self, haul: Program, request: pytest.FixtureRequest, bucket_name: Callable[[], str], server: str
    ) -> None:
        if server == "moto":
            haul = Program(haul.cwd, {**haul.environ, **_moto(request.getfixturevalue("moto"))})
        # SeaweedFS takes a backslash for a slash, and moto has no route for a line feed.
        odd = [name for name in ODD if ("\n" if server == "moto" else "\\") not in name]
        bucket = f"s3://{bucket_name()}"
        haul.ok("mb", bucket)
        tree = {name: name.encode() for name in odd}
        write(haul.cwd / "odd", tree)
        done = haul.ok("cp", "odd/", f"{bucket}/odd/", "--json")
        told = sorted(event["destination"] for event in done.events)
        assert told == sorted(f"{bucket}/odd/{name}" for name in odd)
        text = haul.ok("cp", f"{bucket}/odd/", "back/").out
        # One line each, and none of them steers a terminal.
        assert len(text.splitlines()) == len(odd)
        assert "\x1b" not in text
        assert read(haul.cwd / "back") == tree
        haul.ok("mv", f"{bucket}/odd/", f"{bucket}/moved/")
        haul.ok("rm", "-r", f"{bucket}/moved/")
        assert keys(haul, bucket) == []

    @pytest.mark.parametrize("name", ["what?#hash", "new\nline", "-dash", "*star", "per%cent%2F"])
    def test_odd_names_can_be_named(self, haul: Program, bucket: str, name: str) -> None:
        write(haul.cwd, {name: b"x"})
        haul.ok("cp", "--raw", "--", f"./{name}", f"{bucket}/{name}")
        haul.ok("cp", "--raw", "--", f"{bucket}/{name}", f"{bucket}/copy of {name}")
        assert haul.ok("cat", "--", f"{bucket}/copy of {name}").raw == b"x"
        haul.ok("rm", "--raw", f"{bucket}/{name}")
        assert keys(haul, bucket) == [f"copy of {name}"]

    def test_what_is_no_file_is_told_and_left_out(self, haul: Program, bucket: str) -> None:
        write(haul.cwd / "src", {"a": b"x"})
        root = os.fsencode(haul.cwd / "src")
        os.mkfifo(root + b"/fifo")
        os.symlink(b"nowhere", root + b"/broken")
        os.symlink(b".", root + b"/loop")
        os.symlink(b"a", root + b"/link")
        os.close(os.open(root + b"/caf\xe9", os.O_CREAT))
        done = haul.ok("cp", "src/", f"{bucket}/")
        assert keys(haul, bucket) == ["a", "link"]
        for name in ("fifo", "broken", "loop", r"caf\xe9"):
            assert sum(name in line for line in done.err.splitlines()) == 1, name
        haul.ok("cp", "src/", f"{bucket}/unfollowed/", "--no-follow-symlinks")
        assert keys(haul, f"{bucket}/unfollowed/") == ["unfollowed/a"]
        as_json = haul.ok("cp", "src/", f"{bucket}/", "--json")
        assert as_json.err.count('"event":"warning"') == len(as_json.err.splitlines()) == 4
        says(haul("cp", "src/fifo", bucket), 2, "no regular file", "haul put")
        says(haul("cp", "src/broken", bucket), 4, "leads nowhere")

    def test_names_that_cannot_be_files_are_refused_by_name(
        self, haul: Program, moto: Server, bucket_name: Callable[[], str]
    ) -> None:
        there = Program(haul.cwd, {**haul.environ, **_moto(moto)})
        bucket = bucket_name()
        url = f"s3://{bucket}"
        there.ok("mb", url)
        bad = ("/absolute", "a//b", ".haul-0123456789abcdef.part", "x" * 300, "../up", "a/./b")
        with closing(
            boto3.client(
                "s3",
                endpoint_url=moto.endpoint_url,
                region_name="us-east-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
            )
        ) as s3:
            for key in ("good", *bad, "a/", "file", "file/below"):
                s3.put_object(Bucket=bucket, Key=key, Body=b"" if key == "a/" else b"x")
        done = there("cp", f"{url}/", "out/")
        assert done.code == 1
        failed = [line for line in done.err.splitlines() if line.startswith("download failed")]
        assert len(failed) == len(bad) + 1
        for key in bad:
            assert sum(f"{url}/{key} " in line for line in failed) == 1, key
        # Of a file and a directory of one name the one that came first stays.
        assert sum("'a' and 'a/b'" in line for line in done.err.splitlines()) == 1
        there_now = read(haul.cwd / "out")
        assert "good" in there_now
        assert {"file", "file/below"} & set(there_now)
        assert not [name for name in there_now if ".haul-" in name]
        assert os.listdir(haul.cwd) == ["out"]
        # A key that ends in a slash is a directory, and has a line that says so.
        assert [line for line in done.out.splitlines() if "marks a directory" in line]

    def test_links_in_the_destination_lead_nowhere_else(self, haul: Program, bucket: str) -> None:
        haul.ok("put", "-", f"{bucket}/d/f", stdin=b"x")
        haul.ok("put", "-", f"{bucket}/g", stdin=b"x")
        write(haul.cwd, {"outside/f": b"mine", "mine": b"mine"})
        (haul.cwd / "out").mkdir()
        os.symlink("../outside", haul.cwd / "out/d")
        os.symlink("../mine", haul.cwd / "out/g")
        done = haul("cp", f"{bucket}/", "out/")
        assert done.code == 1
        assert "a symbolic link is in the way" in done.err
        assert read(haul.cwd / "outside") == {"f": b"mine"}
        # A link that is the file's own name is replaced by the file.
        assert (haul.cwd / "mine").read_bytes() == b"mine"
        assert not (haul.cwd / "out/g").is_symlink()


class TestWhatIsWrong:
    """One line that says what happened, one that says what to do, and the code of the table."""

    @pytest.mark.parametrize(
        ("words", "code", "message", "hint"),
        [
            ("cp f s3://no-such-bucket-here/k", 4, "NoSuchBucket", "haul mb"),
            ("cp d/ s3://no-such-bucket-here/", 4, "NoSuchBucket", "haul mb"),
            ("cp s3://no-such-bucket-here/k .", 4, "NoSuchBucket", "haul mb"),
            ("cp s3://no-such-bucket-here/ .", 4, "NoSuchBucket", "haul mb"),
            ("cp {b}/no-key .", 4, "NoSuchKey", "haul ls"),
            ("cp {b}/no*thing ./", 4, "nothing matches", "--raw"),
            ("cp {b}/no-prefix/ .", 4, "nothing under", ""),
            ("cp no-file {b}/", 4, "no-file: no such file or directory", ""),
            ("cp no-dir/ {b}/", 4, "no such file", ""),
            ("cp f/ {b}/", 4, "f/: no such file", ""),
            ("cp no*thing {b}/", 4, "nothing matches", "--raw"),
            ("cp empty/ {b}/", 4, "nothing under", ""),
            ("cp d {b}/", 2, "d is a directory or prefix", "-r"),
            ("cp {b}/tree .", 2, "/tree is a directory or prefix", "-r"),
            ("cp f d/g {b}/one", 2, "is one name, and there may be several", "slash"),
            ("cp {b}/tree/* out", 2, "is one name, and there may be several", "out/"),
            (
                "cp f https://b.s3.amazonaws.com/k?versionId=w",
                2,
                "cannot be written",
                "leave the version out",
            ),
            ("cp {b}/tree/ f", 2, "f is a file, and a directory is needed", "another"),
            ("cp {b}/k f/", 2, "f/ is a file, and a directory is needed", "another"),
            ("cp {b}/k f/x", 1, "a file stands where a directory is needed", "another"),
            ("sync {b}/tree f", 2, "f is a file, and a directory is needed", "another"),
            ("cp f d/g", 2, "both ends are local", "s3://"),
            ("cp f -", 2, "works on buckets", "s3://"),
            ("cp - -", 2, "- stands for both", "s3://"),
            ("cp - {b}/p/", 2, "is a prefix, and a stream has no name", "NAME"),
            ("cp - f", 2, "works on buckets", "s3://"),
            ("cp f", 2, "required: DESTINATION", "--help"),
            ("cp f {b}/k --part-size 3", 2, "part-size", "5MiB"),
            ("cp f {b}/k --nonsense", 2, "--nonsense is not a flag", ""),
            ("cp f {b}/k --metadata x", 2, "not KEY=VALUE", "--metadata colour=blue"),
            ("cp f {b}/k --sse-c-key-file f", 2, "does not hold an SSE-C key", "openssl"),
            ("cp f {b}/k --endpoint-url not-a-url", 2, "not-a-url", "http"),
            ("cp f {b}/k --endpoint-url http://127.0.0.1:1", 5, "refused", "doctor"),
            ("cp d/ {b}/k --endpoint-url http://127.0.0.1:1", 5, "refused", "doctor"),
            ("cp f {b}/k --endpoint-url http://no-such-host.invalid", 5, "s3://", "DNS"),
            ("cp f {b}/k --profile nobody", 2, "profile 'nobody' does not exist", "aws configure"),
            ("cp f {b}/k --manifest nothing.txt", 2, "with a manifest the source is", "directory"),
            ("cp d/ {b}/ --manifest nothing.txt", 4, "nothing.txt", ""),
            ("cp {b}/k {b}/k", 1, "is its own destination", "another"),
            ("cp {b}/tree/ {b}/tree/", 2, "is both source and destination", "another"),
            ("mv {b}/k {b}/k", 1, "is its own destination", "another"),
            ("mv {b}/tree/ {b}/tree/", 2, "is both source and destination", "another"),
            ("mv -r {b}/tree {b}/", 2, "is both source and destination", "another"),
            ("mv {b}/k {b}/l --version-id v", 2, "one version|the others", "rm"),
            ("mv https://b.s3.amazonaws.com/k?versionId=v {b}/l", 2, "would leave the others", "rm"),
            ("mv - {b}/l", 2, "stands for one stream", ""),
            ("mv {b}/no-key {b}/l", 4, "NoSuchKey", "haul ls"),
            ("mv no-file {b}/l", 4, "no such file", ""),
        ],
    )
    def test_it_is_said_in_one_line(
        self, prepared: tuple[Program, str], words: str, code: int, message: str, hint: str
    ) -> None:
        haul, bucket = prepared
        says(haul(*words.format(b=bucket).split()), code, message, hint)

    def test_credentials_are_missing_wrong_or_expired(self, haul: Program, bucket: str) -> None:
        write(haul.cwd, {"f": b"x"})
        bare = {name: value for name, value in haul.environ.items() if "ACCESS_KEY" not in name}
        says(
            Program(haul.cwd, bare)("cp", "f", bucket),
            3,
            "no AWS credentials were found",
            "AWS_ACCESS_KEY_ID",
        )
        says(haul("cp", "f", bucket, AWS_SECRET_ACCESS_KEY="wrong"), 3, "SignatureDoesNotMatch", "secret")
        says(haul("cp", "f", bucket, AWS_ACCESS_KEY_ID="AKIAWRONG"), 3, "InvalidAccessKeyId", "access key")

    @pytest.mark.parametrize(
        ("toml", "message"),
        [
            ("part_size = ", "haul.toml: Invalid value"),
            ("part_sise = 3", "part_sise is not a setting"),
            ('part_size = "3 bananas"', "3 bananas"),
            ("\0", "haul.toml"),
        ],
    )
    def test_a_broken_haul_toml(self, haul: Program, toml: str, message: str) -> None:
        write(haul.cwd, {"f": b"x", "haul.toml": toml.encode()})
        says(haul("cp", "f", "s3://bucket/f"), 2, message, ".")

    def test_a_file_that_may_not_be_read(self, haul: Program, bucket: str) -> None:
        write(haul.cwd / "d", {"secret": b"x", "open": b"y"})
        os.chmod(haul.cwd / "d/secret", 0)
        says(limited(haul, as_anybody, "cp", "d/secret", bucket), 3, "d/secret: permission denied", "owner")
        done = limited(haul, as_anybody, "cp", "d/", f"{bucket}/")
        assert (done.code, len(done.out.splitlines()), len(done.err.splitlines())) == (1, 1, 2)
        assert "secret: permission denied" in done.err
        assert keys(haul, bucket) == ["open"]
        # What a listing left out must not look complete.
        os.chmod(haul.cwd / "d", 0)
        says(limited(haul, as_anybody, "cp", "d/", f"{bucket}/x/"), 3, "permission denied", "owner")
        os.chmod(haul.cwd / "d", 0o700)

    def test_a_directory_that_may_not_be_written(self, haul: Program, bucket: str) -> None:
        haul.ok("put", "-", f"{bucket}/k", stdin=b"x")
        (haul.cwd / "locked").mkdir(mode=0o500)
        done = limited(haul, as_anybody, "cp", f"{bucket}/k", "locked/")
        says(done, 3, "locked/k: permission denied", "owner")
        assert read(haul.cwd) == {}

    @pytest.mark.parametrize("size", [100_000, 3_000_000, 12_000_000])
    def test_a_disk_that_holds_no_more(self, haul: Program, bucket: str, size: int) -> None:
        haul.ok("put", "-", f"{bucket}/k", stdin=b"x" * size)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

        says(limited(haul, limit, "cp", f"{bucket}/k", "out/"), 1, "out/k: ", "file system")
        assert read(haul.cwd) == {}

    def test_standard_output_that_is_full(self, haul: Program, bucket: str) -> None:
        haul.ok("put", "-", f"{bucket}/k", stdin=b"x" * 5_000_000)
        for words in (("cp", f"{bucket}/k", "-"), ("cat", f"{bucket}/k")):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [haul.path, *words], stdout=full, stderr=subprocess.PIPE, env=haul.environ, check=False
                )
            assert done.returncode == 1
            assert done.stderr.count(b"\n") == 1
            assert b"No space left on device" in done.stderr

    @pytest.mark.parametrize("size", [3_000_000, 14_000_000])
    def test_a_file_that_changes_while_it_is_read(
        self, haul: Program, bucket: str, seaweedfs: Server, size: int
    ) -> None:
        port = urlsplit(seaweedfs.endpoint_url).port
        assert port is not None
        path = haul.cwd / "growing"
        path.write_bytes(b"x" * size)

        def grow() -> None:
            with path.open("ab") as file:
                file.write(b"more")

        with Gate(port) as gate:
            gate.expect(3, grow)
            state = {"HAUL_STATE_DIR": str(haul.cwd / "state")}
            behind = Program(haul.cwd, {**haul.environ, "AWS_ENDPOINT_URL_S3": gate.url, **state})
            # Slowly, so that it is read while it passes.
            done = behind("cp", "growing", f"{bucket}/k", "--bwlimit", "4MB")
        says(done, 1, "growing changed while it was read; nothing was stored", "run the command again")
        assert keys(haul, bucket) == []
        assert haul.ok("uploads", bucket).out == ""
        assert not [name for name in read(haul.cwd) if name.startswith("state/uploads")]

    def test_one_source_of_several_that_selects_nothing(self, haul: Program, bucket: str) -> None:
        write(haul.cwd, {"f": b"x", "g": b"y"})
        done = haul("cp", "f", "no*thing", "g", f"{bucket}/")
        assert done.code == 1
        assert done.err.splitlines()[0].startswith("haul cp: nothing matches")
        assert keys(haul, bucket) == ["f", "g"]

    def test_two_sources_of_one_name(self, haul: Program, bucket: str) -> None:
        write(haul.cwd, {"a/f": b"1", "b/f": b"2"})
        done = haul("cp", "a/f", "b/f", f"{bucket}/")
        assert done.code == 1
        assert "would overwrite f" in done.err
        assert haul.ok("cat", f"{bucket}/f").raw == b"1"
        done = haul("cp", "a/", "b/", f"{bucket}/flat/", "--flatten")
        assert (done.code, keys(haul, f"{bucket}/flat/")) == (1, ["flat/f"])


def as_anybody() -> None:
    """Give up what lets root read and write everything; others never had it."""
    libc = ctypes.CDLL(None)
    drop_from_bounding_set = 24  # PR_CAPBSET_DROP of prctl(2)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)


def test_results_are_on_standard_output_and_all_else_is_not(haul: Program, bucket: str) -> None:
    write(haul.cwd / "d", {"a": b"x", "b": b"y"})
    os.mkfifo(haul.cwd / "d/fifo")
    done = haul("cp", "d/", "no-file*", f"{bucket}/", "--json", "--log-level", "debug")
    assert done.code == 1
    assert {event["event"] for event in done.events} == {"object"}
    said = [json.loads(line) for line in done.err.splitlines()]
    assert {"request", "warning", "error"} <= {event["event"] for event in said}
    assert {event["action"] for event in done.events} == {"upload"}
    assert all(event["size"] == 1 and event["etag"] and event["seconds"] > 0 for event in done.events)
