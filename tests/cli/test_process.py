"""`haul process`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Box, Result

    from haulyard.testing.api import Call

PEOPLE = b"id,name\n1,Ann\n2,Bob\n3,Cid\n"
ANN, BOB, CID = {"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}, {"id": "3", "name": "Cid"}
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _at_home(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    haul.bucket({"in/people.csv": PEOPLE})


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An API that takes everything."""
    with ApiServer() as server:
        yield server


def sent(api: ApiServer) -> list[Any]:
    return [call.json() for call in api.calls]


def run(haul: Box, api: ApiServer, *words: str, source: str = "s3://b/in/people.csv") -> Result:
    return haul("process", source, "--to", f"{api.url}/people", "--rate-limit-calls", "0", *words)


def jobs(haul: Box) -> list[str]:
    where = haul.cwd / ".haul" / "jobs"
    return sorted(path.name for path in where.iterdir()) if where.exists() else []


def everything_written(haul: Box) -> str:
    """Return what all files below the current directory hold."""
    files = [path for path in haul.cwd.rglob("*") if path.is_file() and path.name != ".env"]
    return "".join(path.read_bytes().decode("latin-1") for path in files)


# The whole way.


def test_each_record_is_one_call(haul: Box, api: ApiServer) -> None:
    result = run(haul, api)
    assert result.code == 0, result.err
    assert sorted(sent(api), key=lambda record: record["id"]) == [ANN, BOB, CID]
    first = api.calls[0]
    assert (first.method, first.path) == ("POST", "/people")
    assert first.headers["content-type"] == "application/json"
    assert "3" in result.out
    assert len({call.key for call in api.calls}) == 3


def test_the_same_command_is_the_same_job_and_sends_nothing_again(haul: Box, api: ApiServer) -> None:
    assert run(haul, api).code == 0
    (name,) = jobs(haul)
    assert name.startswith("process-b-in-people-csv-")
    again = run(haul, api, "--batch-size", "7", "--chunk-size", "64KiB")
    assert again.code == 0, again.err
    assert (len(api.calls), jobs(haul)) == (3, [name])
    assert haul("process", "--job", name).code == 0
    assert len(api.calls) == 3


def test_without_arguments_everything_is_in_dotenv(haul: Box, api: ApiServer) -> None:
    (haul.cwd / ".env").write_text(
        "S3_BUCKET=b\nS3_KEY=in/people.csv\n"
        f"API_ENDPOINT={api.url}/process\nBATCH_SIZE=1000\nMAX_WORKERS=20\n"
        "RATE_LIMIT_CALLS=5000\nRATE_LIMIT_PERIOD=1\nCHUNK_SIZE=8192\n"
    )
    result = haul("process")
    assert result.code == 0, result.err
    assert len(api.calls) == 3
    assert haul("process").code == 0
    assert len(api.calls) == 3
    assert len(jobs(haul)) == 1


def test_a_prefix_a_wildcard_a_manifest_and_a_local_file_are_sources(haul: Box, api: ApiServer) -> None:
    haul.bucket({"in/a.jsonl": b'{"n":1}\n', "in/b.jsonl": b'{"n":2}\n', "in/c.txt": b"no"})
    assert run(haul, api, "--include", "*.jsonl", source="s3://b/in/").code == 0
    assert run(haul, api, source="s3://b/in/*.jsonl").code == 0
    assert run(haul, api, "--include", "*.jsonl", "-r", source="s3://b/in").code == 0
    (haul.cwd / "keys.txt").write_text("in/b.jsonl\n")
    assert run(haul, api, "--manifest", "keys.txt", source="s3://b/in/").code == 0
    (haul.cwd / "d").mkdir()
    (haul.cwd / "d" / "here.jsonl").write_text('{"n":3}\n')
    assert run(haul, api, source="d/here.jsonl").code == 0
    assert run(haul, api, source="d/").code == 0
    assert [record["n"] for record in sent(api)] == [1, 2, 1, 2, 1, 2, 2, 3, 3]


def test_reading_follows_its_flags(haul: Box, api: ApiServer) -> None:
    haul.bucket({"x": "1;'a;b';t\n2;'\\'';f\n".encode("utf-16")})
    words = ["--format", "csv", "--encoding", "utf-16", "--delimiter", ";", "--quote", "'", "--escape", "\\"]
    result = run(haul, api, *words, "--columns", "id, text,ok", "--types", "infer", source="s3://b/x")
    assert result.code == 0, result.err
    assert sent(api)[0] == {"id": 1, "text": "a;b", "ok": "t"}


def test_sending_follows_its_flags(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--method", "PUT", "--body", "form", "--header", "X-Team: data").code == 0
    first = api.calls[0]
    assert (first.method, first.body, first.headers["x-team"]) == ("PUT", b"id=1&name=Ann", "data")
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert run(haul, api, "--body", "array", "--job", "a").code == 0
    assert api.calls[3].json() == [ANN]
    assert run(haul, api, "--records-per-call", "2", "--job", "n").code == 0
    assert [len(call.json()) for call in api.calls[6:]] == [2, 1]


def test_a_template_is_a_text_or_a_file(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--body-template", '{"who":{{name}},"all":{{*}}}').code == 0
    assert sent(api)[0] == {"who": "Ann", "all": ANN}
    (haul.cwd / "body.json").write_text('{"batch":{{*}}}')
    assert run(haul, api, "--body-template", "@body.json", "--records-per-call", "3").code == 0
    assert sent(api)[3] == {"batch": [ANN, BOB, CID]}


def test_fields_are_chosen_and_renamed(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--fields", "name,id", "--rename", "id=key").code == 0
    assert api.calls[0].body == b'{"name":"Ann","key":"1"}'


def test_a_transform_makes_none_one_or_several(haul: Box, api: ApiServer) -> None:
    (haul.cwd / "mine_of_cli.py").write_text(
        "def clean(record):\n"
        "    if record['id'] == '1':\n        return None\n"
        "    if record['id'] == '2':\n        raise ValueError('Bob')\n"
        "    return [record, {'again': record['name']}]\n"
    )
    result = run(haul, api, "--transform", "mine_of_cli:clean", "--job", "t")
    sys.modules.pop("mine_of_cli")
    assert result.code == 1
    assert sent(api) == [CID, {"again": "Cid"}]
    (letter,) = haul("process", "--dead-letters", "t").events
    assert (letter["kind"], letter["reason"], letter["record"]) == ("transform", "ValueError: Bob", BOB)
    (haul.cwd / "mine_of_cli.py").write_text("def clean(record):\n    return {'now': record['name']}\n")
    os.utime(haul.cwd / "mine_of_cli.py", (1, 1))
    again = haul("process", "--retry-failed", "t", "--rate-limit-calls", "0")
    sys.modules.pop("mine_of_cli")
    assert again.code == 0, again.err
    assert sent(api)[2:] == [{"now": "Bob"}]


def test_success_is_what_an_expression_says(haul: Box) -> None:
    with ApiServer(Rule(body=b'{"status":"error"}', contains="Bob")) as api:
        result = run(haul, api, "--success", "status == 'ok'", "--job", "j")
    assert result.code == 1
    (letter,) = haul("process", "--dead-letters", "j").events
    assert (letter["record"], letter["status"], letter["answer"]) == (BOB, 200, {"status": "error"})


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_answers_are_kept_where_they_are_wanted(haul: Box, api: ApiServer, form: str) -> None:
    store = haul.bucket({}, "answers")
    words = ["--save-responses", "s3://answers/out", "--responses-format", form]
    assert run(haul, api, *words, "--job", "j").code == 0
    (key,) = [key for key in haul.contents(store) if key.startswith("out/")]
    assert key.endswith(form)
    assert run(haul, api, "--save-responses", "kept", "--job", "k").code == 0
    (path,) = [path for path in (haul.cwd / "kept").rglob("*") if path.is_file()]
    assert path.read_bytes().count(b'"status":"ok"') == 3


# Rates and other settings.


def settings_seen(
    haul: Box, api: ApiServer, monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[Any, Any, Any]:
    from haulyard.records import processing

    seen: list[Any] = []
    process = processing.process

    async def watched(folder: Any, around: Any, options: Any) -> Any:
        seen.append(options)
        return await process(folder, around, options)

    with monkeypatch.context() as patch:
        patch.setattr(processing, "process", watched)
        result = haul("process", "s3://b/in/people.csv", "--to", api.url, "--new", *words)
    assert result.code == 0, result.err
    (options,) = seen
    return [tuple(limit)[:2] for limit in options.limits], options.max_in_flight, options.chunk_size


def test_the_flag_goes_before_the_environment_before_dotenv_before_toml(
    haul: Box, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings_seen(haul, api, monkeypatch) == ([(5000, 1.0)], 0, 8192)
    (haul.cwd / "haul.toml").write_text('rate_limit_calls = 11\nmax_in_flight = 5\nchunk_size = "16KiB"\n')
    assert settings_seen(haul, api, monkeypatch) == ([(11, 1.0)], 5, 16_384)
    (haul.cwd / ".env").write_text("RATE_LIMIT_CALLS=12\nMAX_WORKERS=6\n")
    assert settings_seen(haul, api, monkeypatch) == ([(12, 1.0)], 6, 16_384)
    haul.environ |= {"RATE_LIMIT_CALLS": "13", "RATE_LIMIT_PERIOD": "500ms", "CHUNK_SIZE": "9000"}
    assert settings_seen(haul, api, monkeypatch) == ([(13, 0.5)], 6, 9000)
    haul.environ |= {"HAUL_RATE_LIMIT_CALLS": "14", "HAUL_MAX_IN_FLIGHT": "7"}
    assert settings_seen(haul, api, monkeypatch) == ([(14, 0.5)], 7, 9000)
    words = ["--rate-limit-calls", "15", "--rate-limit-period", "2", "--max-in-flight", "8"]
    assert settings_seen(haul, api, monkeypatch, *words, "--chunk-size", "1MiB") == (
        [(15, 2.0)],
        8,
        1024**2,
    )
    # The short form goes before all of them, and may be repeated.
    assert settings_seen(haul, api, monkeypatch, "--rate", "20/s", "--rate", "1,000,000/day")[0] == [
        (20, 1.0),
        (1_000_000, 86400.0),
    ]
    haul.environ["HAUL_RATE_LIMIT_CALLS"] = "0"
    assert settings_seen(haul, api, monkeypatch)[0] == []


MALFORMED = {
    "S3_BUCKET": "s3://b",
    "API_ENDPOINT": "api.example.com",
    "BATCH_SIZE": "many",
    "MAX_WORKERS": "-1",
    "RATE_LIMIT_CALLS": "5000/s",
    "RATE_LIMIT_PERIOD": "0",
    "CHUNK_SIZE": "8 potatoes",
}


def complete(api: ApiServer) -> dict[str, str]:
    return {"S3_BUCKET": "b", "S3_KEY": "in/people.csv", "API_ENDPOINT": api.url}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (name, place)
        for name in MALFORMED
        for place in ("environment", "dotenv", "toml", "flag")
        # The bucket is part of an argument.
        if (name, place) != ("S3_BUCKET", "flag")
    ],
)
def test_a_malformed_value_is_named_before_anything_starts(
    haul: Box, api: ApiServer, name: str, place: str
) -> None:
    names = {"MAX_WORKERS": "max_in_flight"}
    field = names.get(name, name.lower())
    haul.environ |= complete(api)
    words: list[str] = []
    if place == "environment":
        haul.environ[name] = MALFORMED[name]
        told = f"{name}: '{MALFORMED[name]}' is not allowed"
    else:
        haul.environ.pop(name, None)
        told = f"line 2: {name}: '{MALFORMED[name]}' is not allowed"
    if place == "dotenv":
        (haul.cwd / ".env").write_text(f"# mine\n{name}={MALFORMED[name]}\n")
    elif place == "toml":
        (haul.cwd / "haul.toml").write_text(f'# mine\n{field} = "{MALFORMED[name]}"\n')
        told = f"line 2: {field}: '{MALFORMED[name]}' is not allowed"
    elif place == "flag":
        flag = "--to" if name == "API_ENDPOINT" else f"--{field.replace('_', '-')}"
        words = [f"{flag}={MALFORMED[name]}"]
        told = f"{flag}: '{MALFORMED[name]}' is not allowed"
    result = haul("process", *words)
    assert result.code == 2
    assert told in result.err
    assert (jobs(haul), api.calls) == ([], ())
    assert not (haul.cwd / "logs").exists()
    if not words:
        assert haul("ls", "s3://b/in/").code == 0


@pytest.mark.parametrize("missing", ["S3_BUCKET", "S3_KEY", "API_ENDPOINT"])
def test_a_missing_value_is_named(haul: Box, api: ApiServer, missing: str) -> None:
    haul.environ |= {**complete(api), missing: ""}
    result = haul("process")
    assert result.code == 2
    assert f"{missing} is not set" in result.err
    assert jobs(haul) == []


def test_all_that_is_missing_is_named_at_once(haul: Box) -> None:
    assert "S3_BUCKET, S3_KEY and API_ENDPOINT are not set" in haul("process").err
    assert "API_ENDPOINT is not set" in haul("process", "s3://b/in/people.csv").err
    assert "S3_BUCKET and S3_KEY are not set" in haul("process", "--to", "http://x/").err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rate", "fast"], "--rate 'fast' is no rate"),
        (["--rate", "0/s"], "--rate '0/s' is no rate"),
        (["--rate", "5/0s"], "--rate '5/0s' is no rate"),
        (["--rate", "5/fortnight"], "is no rate"),
        (["--rate", "5/s", "--rate-limit-calls", "3"], "exclude each other"),
        (["--rate", "5/s", "--rate-limit-period", "3"], "exclude each other"),
        (["--records-per-call", "0"], "--records-per-call is at least 1"),
        (["--limit", "-1"], "--limit is a number of records"),
        (["--sample", "0"], "--sample '0' is no share"),
        (["--sample", "101%"], "is no share"),
        (["--sample", "some"], "is no share"),
        (["--sample", "nan"], "is no share"),
        (["--timeout", "soon"], "--timeout 'soon' is no time"),
        (["--timeout", "0"], "--timeout 0 leaves no time"),
        (["--grace", "soon"], "--grace 'soon' is no time"),
        (["--patience", "-3s"], "--patience"),
        (["--body", "json", "--body-template", "{{*}}"], "exclude each other"),
        (["--body", "form", "--records-per-call", "2"], "a form holds one record"),
        (["--body-template", "plain"], "no place for the record"),
        (["--body-template", "@gone.json"], "--body-template @gone.json: No such file"),
        (["--body-template", "@empty.json"], "no place for the record"),
        (["--body-template", "@binary"], "it is not UTF-8"),
        (["--body-template", "{{*}}{{id}}", "--records-per-call", "2"], "the field 'id'"),
        (["--delimiter", "ab"], "--delimiter 'ab' is not one character"),
        (["--quote", "ab"], "--quote 'ab' is not one character"),
        (["--escape", "ab"], "--escape 'ab' is not one character"),
        (["--columns", "a,,b"], "--columns 'a,,b' has an empty name"),
        (["--fields", "a,a"], "--fields 'a,a' has an empty name, or one twice"),
        (["--rename", "a"], "--rename 'a' is not KEY=VALUE"),
        (["--encoding", "klingon"], "klingon"),
        (["--transform", "clean"], "is no module:function"),
        (["--transform", "gone_module:clean"], "No module named 'gone_module'"),
        (["--success", "=="], "is no JMESPath expression"),
        (["--header", "nope"], "is no header"),
        (["--header", "Authorization: Bearer hunter2"], "kept in the job's folder"),
        (["--header", "Idempotency-Key: 1"], "is not yours to give"),
        (["--header", "Authorization: Bearer ${NOT_SET}"], "the variable NOT_SET is not set"),
        (["--save-responses", "-"], "- cannot be written to again and again"),
        (["--save-responses", "s3://nobucket/x"], "nobucket does not exist"),
        (["--dead-letters-to", "-"], "- cannot be written to again and again"),
        (["--job", "a/b"], "cannot be the name of a job"),
        (["--new", "--dry-run"], "exclude each other"),
        (["--retry-failed", "j"], "--retry-failed names its job itself"),
        (["--dead-letters", "j"], "--dead-letters names its job itself"),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(
    haul: Box, api: ApiServer, words: list[str], told: str
) -> None:
    (haul.cwd / "empty.json").write_text("")
    (haul.cwd / "binary").write_bytes(b"\xff")
    result = haul("process", "s3://b/in/people.csv", "--to", api.url, *words)
    assert result.code == (4 if "nobucket" in told else 2), result.err
    assert told in result.err
    assert SECRET not in result.err
    assert (jobs(haul), api.calls) == ([], ())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--retry-failed", "j", "--dead-letters", "j"], "names its job itself"),
        (["--retry-failed", "j", "--job", "j"], "names its job itself"),
        (["--retry-failed", "j", "--new"], "names its job itself"),
        (["--retry-failed", "j", "--dry-run"], "--dry-run is for records that were not sent yet"),
        (["--retry-failed", "j"], "there is no job j"),
        (["--dead-letters", "j"], "there is no job j"),
        (["--job", "j"], "S3_BUCKET, S3_KEY and API_ENDPOINT are not set"),
    ],
)
def test_a_job_is_named_once_and_has_to_be_there(haul: Box, words: list[str], told: str) -> None:
    result = haul("process", *words)
    assert result.code == 2
    assert told in result.err


def test_an_address_that_a_variable_holds_is_judged_once_it_is_filled_in(haul: Box, api: ApiServer) -> None:
    for value in ("ftp://x", f"https://me:{SECRET}@x/"):
        haul.environ["API"] = value
        result = haul("process", "s3://b/in/people.csv", "--to", "${API}")
        assert result.code == 2
        assert SECRET not in result.err
        assert jobs(haul) == []
    haul.environ["API"] = f"{api.url}/filled"
    assert haul("process", "s3://b/in/people.csv", "--to", "${API}").code == 0
    assert api.calls[0].path == "/filled"


# Secrets.


def test_secrets_are_sent_and_kept_nowhere(haul: Box) -> None:
    (haul.cwd / ".env").write_text(f"API_TOKEN={SECRET}\n")
    haul.environ["API_KEY"] = SECRET + "x"
    words = ["--header", "Authorization: Bearer ${API_TOKEN}", "--job", "j", "--json", "--log-level", "debug"]
    with ApiServer(Rule(422, contains="Bob"), Rule(500, times=1)) as api:
        result = haul("process", "s3://b/in/people.csv", "--to", f"{api.url}/?key=${{API_KEY}}", *words)
        assert result.code == 1
        assert api.calls[0].headers["authorization"] == f"Bearer {SECRET}"
        assert api.calls[0].path == f"/?key={SECRET}x"
    assert haul("report", "j").code == 0
    told = result.out + result.err + haul("status", "j").out + haul("process", "--dead-letters", "j").out
    assert SECRET not in told + everything_written(haul)
    specification = json.loads((haul.cwd / ".haul" / "jobs" / "j" / "job.json").read_text())["content"]
    assert specification["headers"] == [["Authorization", "Bearer ${API_TOKEN}"]]


def test_a_literal_secret_in_an_address_is_refused_and_not_repeated(haul: Box) -> None:
    for address in (
        f"https://me:{SECRET}@x/",
        f"https://x/?api_key={SECRET}",
        f"x.example.com/?token={SECRET}",
    ):
        haul.environ["API_ENDPOINT"] = address
        for words in ([], ["--to", address]):
            result = haul("process", "s3://b/in/people.csv", *words)
            assert result.code == 2
            assert SECRET not in result.err
    assert SECRET not in everything_written(haul)


# Dry runs, limits, samples.


def test_a_dry_run_sends_nothing_and_leaves_nothing(haul: Box, api: ApiServer) -> None:
    haul.bucket({"in/many.csv": b"id\n" + b"".join(b"%d\n" % at for at in range(10)) + b'"open\n'})
    words = ["--dry-run", "--header", "Authorization: Bearer ${NOT_SET_YET}"]
    result = run(haul, api, *words, source="s3://b/in/many.csv")
    assert result.code == 0, result.err
    assert f'request 3: POST {api.url}/people\n  {{"id":"2"}}\n' in result.out
    assert "11 records of 1 object would make 10 calls; 1 cannot be sent" in result.out
    assert result.out.endswith("dry run: nothing was sent\n")
    (event,) = run(haul, api, *words, "--json", "--limit", "4", source="s3://b/in/many.csv").events
    assert (event["event"], event["records"], event["calls"]) == ("preview", 4, 4)
    assert (jobs(haul), api.calls) == ([], ())
    assert not (haul.cwd / "logs").exists()


def test_a_dry_run_of_a_job_reads_what_the_job_reads(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--fields", "name", "--job", "j").code == 0
    result = haul("process", "--job", "j", "--dry-run")
    assert result.code == 0
    assert '{"name":"Ann"}' in result.out
    assert len(api.calls) == 3


def test_a_limit_is_for_each_run(haul: Box, api: ApiServer) -> None:
    for count in (2, 3, 3):
        result = run(haul, api, "--limit", "2")
        assert result.code == 0, result.err
        assert len(api.calls) == count
    assert [record["id"] for record in sent(api)] == ["1", "2", "3"]
    assert len(jobs(haul)) == 1


def test_a_sample_has_the_same_records_every_run(haul: Box, api: ApiServer) -> None:
    haul.bucket({"many.csv": b"id\n" + b"".join(b"%d\n" % at for at in range(1000))})
    runs = []
    for _ in range(2):
        before = len(api.calls)
        assert run(haul, api, "--sample", "5%", "--new", source="s3://b/many.csv").code == 0
        runs.append(sorted(record["id"] for record in sent(api)[before:]))
    assert runs[0] == runs[1]
    assert 25 < len(runs[0]) < 80
    assert run(haul, api, "--sample", "0.05", source="s3://b/many.csv").code == 0
    assert len(jobs(haul)) == 2


# Dead letters.


@pytest.fixture
def picky() -> Iterator[ApiServer]:
    """An API that takes no Bob."""
    with ApiServer(Rule(422, contains="Bob")) as server:
        yield server


def test_what_the_api_refuses_is_listed_and_can_be_sent_again(haul: Box, picky: ApiServer) -> None:
    haul.bucket({"in/people.jsonl": b'{"n":"Ann"}\n{"n":"Bob"}\n{nope\n{"n":"Cid"}\n'})
    result = run(haul, picky, "--job", "j", source="s3://b/in/people.jsonl")
    assert result.code == 1
    letters = haul("process", "--dead-letters", "j")
    assert letters.code == 0
    bad, bob = sorted(letters.events, key=lambda letter: letter["kind"])
    assert (bad["kind"], bad["line"], bad["record"]) == ("malformed", 3, "{nope")
    assert (bob["kind"], bob["status"], bob["record"]) == ("rejected", 422, {"n": "Bob"})
    assert list(bob["answer"]) == ["error"]
    # Again without having mended anything: it is still listed, once.
    sofar = len(picky.calls)
    again = haul("process", "--retry-failed", "j", "--rate-limit-calls", "0")
    assert again.code == 1
    assert [call.json() for call in picky.calls[sofar:]] == [{"n": "Bob"}]
    assert len(haul("process", "--dead-letters", "j").events) == 2
    picky.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 1
    (left,) = haul("process", "--dead-letters", "j").events
    assert left["kind"] == "malformed"
    sofar = len(picky.calls)
    assert haul("process", "--retry-failed", "j").code == 1
    assert run(haul, picky, "--job", "j", source="s3://b/in/people.jsonl").code == 1
    assert len(picky.calls) == sofar


def test_a_finished_job_ends_well_once_its_dead_letters_were_delivered(haul: Box, picky: ApiServer) -> None:
    assert run(haul, picky, "--job", "j").code == 1
    assert run(haul, picky, "--job", "j").code == 1
    picky.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 0
    assert haul("process", "--dead-letters", "j").out == ""
    assert run(haul, picky, "--job", "j").code == 0


def test_dead_letters_are_sent_again_some_at_a_time(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(10))})
    with ApiServer(Rule(400, where=lambda call: call.json()["n"] % 2 == 0)) as api:
        assert run(haul, api, "--job", "j", source="s3://b/n.jsonl").code == 1
        api.script()
        again = ["--retry-failed", "j", "--rate-limit-calls", "0", "--limit", "2"]
        codes = [haul("process", *again).code for _ in range(3)]
        assert codes == [1, 1, 0]
        assert [call.json()["n"] for call in api.calls[10:]] == [0, 2, 4, 6, 8]


def test_dead_letters_of_an_unfinished_job_are_sent_again_and_it_stays_unfinished(
    haul: Box, picky: ApiServer
) -> None:
    assert run(haul, picky, "--job", "j", "--limit", "2").code == 1
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 1
    picky.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 0
    assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
    assert [call.json()["id"] for call in picky.calls if call.delivered] == ["1", "2", "3"]


def test_a_job_that_has_sent_nothing_has_nothing_to_send_again(haul: Box) -> None:
    with ApiServer(Rule(401)) as api:
        assert run(haul, api, "--job", "j").code == 3
    result = haul("process", "--retry-failed", "j")
    assert result.code == 2
    assert "job j has sent nothing yet" in result.err
    assert haul("process", "--dead-letters", "j").out == ""


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ("s3://l/bad.jsonl", "bad.jsonl"),
        ("s3://l", "dead-letters.jsonl"),
        ("s3://l/x/", "x/dead-letters.jsonl"),
    ],
)
def test_dead_letters_go_into_the_store_as_well(haul: Box, picky: ApiServer, where: str, key: str) -> None:
    store = haul.bucket({}, "l")
    assert run(haul, picky, "--dead-letters-to", where, "--job", "j").code == 1
    written = haul.contents(store)
    assert list(written) == [key]
    assert orjson.loads(written[key])["record"] == BOB
    assert (haul.cwd / ".haul" / "jobs" / "j" / "dead-letters.jsonl").read_bytes() == written[key]


def test_dead_letters_go_into_a_file_as_well(haul: Box, picky: ApiServer) -> None:
    assert run(haul, picky, "--dead-letters-to", "bad.jsonl").code == 1
    assert orjson.loads((haul.cwd / "bad.jsonl").read_bytes())["record"] == BOB


# Jobs and their names.


def test_another_job_of_the_name_is_refused(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--job", "j").code == 0
    for words in (["--fields", "id"], ["--method", "PUT"], ["--types", "infer"], ["--sample", "0.5"]):
        refused = run(haul, api, "--job", "j", *words)
        assert refused.code == 2
        assert "job j is another one: process s3://b/in/people.csv" in refused.err
    assert len(api.calls) == 3


def test_a_new_job_keeps_the_one_that_has_sent_something(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--job", "j").code == 0
    result = run(haul, api, "--job", "j", "--new", "--fields", "id")
    assert result.code == 0, result.err
    assert "it is kept as j-1" in result.err
    assert jobs(haul) == ["j", "j-1"]
    assert len(api.calls) == 6


def test_a_new_job_takes_the_place_of_one_that_has_sent_nothing(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--job", "j", source="s3://b/gone.csv").code == 4
    assert run(haul, api, "--job", "j", "--new").code == 0
    assert jobs(haul) == ["j"]


@pytest.mark.parametrize(
    "words",
    [
        ["--fields", "id"],
        ["--to", "http://127.0.0.1:9/"],
        ["--types", "infer"],
        ["--encoding", "latin-1"],
        ["--method", "PUT"],
        ["--records-per-call", "2"],
    ],
)
def test_a_job_that_is_gone_on_with_keeps_what_it_was_asked_for(
    haul: Box, api: ApiServer, words: list[str]
) -> None:
    assert run(haul, api, "--job", "j").code == 0
    for way in ("--job", "--retry-failed"):
        result = haul("process", way, "j", *words)
        assert result.code == 2
        assert "job j keeps what it was asked for" in result.err


def test_the_same_command_with_its_source_from_the_environment_is_the_same_job(
    haul: Box, api: ApiServer
) -> None:
    haul.environ |= {**complete(api), "RATE_LIMIT_CALLS": "0"}
    for _ in range(2):
        assert haul("process", "--job", "nightly", "--fields", "id").code == 0
    assert len(api.calls) == 3


def test_a_finished_job_is_no_excuse_for_not_sending_what_the_environment_now_names(
    haul: Box, api: ApiServer
) -> None:
    haul.environ |= {**complete(api), "RATE_LIMIT_CALLS": "0"}
    assert haul("process", "--job", "nightly", "--limit", "1").code == 0
    haul.bucket({"in/people.csv": PEOPLE, "in/more.csv": PEOPLE})
    haul.environ["S3_KEY"] = "in/more.csv"
    going_on = haul("process", "--job", "nightly")
    assert going_on.code == 0
    assert "job nightly goes on with s3://b/in/people.csv" in going_on.err
    refused = haul("process", "--job", "nightly")
    assert refused.code == 2
    assert "job nightly is another one" in refused.err


def test_a_bulk_job_is_none_of_this(haul: Box, api: ApiServer) -> None:
    assert haul("plan", "copy", "s3://b/in/", "s3://b/copies/", "--job", "j").code == 0
    for words in (["--job", "j"], ["--dead-letters", "j"], ["--retry-failed", "j"]):
        result = haul("process", *words)
        assert result.code == 2
        assert "no job of haul process" in result.err
    assert "another one" in run(haul, api, "--job", "j").err


# How it ends.


@pytest.mark.parametrize(
    ("rule", "code", "told"),
    [
        (Rule(401), 3, "refuses the caller: HTTP 401"),
        (Rule(403), 3, "refuses the caller: HTTP 403"),
        (Rule(308, headers={"location": "https://new.example.com/v2?x=1"}), 2, "https://new.example.com/v2"),
    ],
)
def test_an_api_that_takes_nothing_stops_the_job_and_no_record_counts_as_failed(
    haul: Box, rule: Rule, code: int, told: str
) -> None:
    with ApiServer(rule) as api:
        result = run(haul, api, "--job", "j")
        assert result.code == code
        assert told in result.err
        assert [call.number for call in api.calls] == [1]
        assert haul("process", "--dead-letters", "j").out == ""
        api.script()
        assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
        assert sorted(call.json()["id"] for call in api.calls[1:]) == ["1", "2", "3"]


def test_how_to_go_on_is_said_where_it_stops(haul: Box) -> None:
    with ApiServer(Rule(401)) as api:
        result = run(haul, api, "--job", "j")
    assert "haul process --job j" in result.err


def test_an_api_that_is_not_there_is_exit_5(haul: Box) -> None:
    with ApiServer() as api:
        address = api.url
    result = haul("process", "s3://b/in/people.csv", "--to", address, "--job", "j")
    assert result.code == 5
    assert haul("process", "--dead-letters", "j").out == ""
    assert "haul process --job j" in result.err


def test_everything_refused_is_exit_5(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(300))})
    with ApiServer(Rule(400)) as api:
        result = run(haul, api, "--job", "j", source="s3://b/n.jsonl")
        assert result.code == 5
        assert "took none of the last" in result.err
        assert haul("process", "--dead-letters", "j").out == ""


@pytest.mark.parametrize("source", ["s3://b/gone.csv", "s3://b/gone/", "s3://nobucket/x.csv", "gone.csv"])
def test_a_source_that_is_not_there_is_exit_4(haul: Box, api: ApiServer, source: str) -> None:
    assert run(haul, api, source=source).code == 4
    assert run(haul, api, "--dry-run", source=source).code == 4


def test_a_source_that_was_replaced_is_refused(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--limit", "1").code == 0
    haul.bucket({"in/people.csv": PEOPLE + b"4,Dan\n"})
    result = run(haul, api)
    assert result.code == 2
    assert len(api.calls) == 1


def test_a_signal_lets_calls_in_flight_finish_and_the_job_goes_on_later(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(500))})
    with ApiServer(Rule(hang=True, where=lambda call: call.json()["n"] == 100, times=1)) as api:

        def is_held(call: Call) -> bool:
            return bool(call.json()["n"] == 100)

        def stop() -> None:
            api.wait_for(is_held)
            os.kill(os.getpid(), signal.SIGINT)
            api.release()

        stopper = threading.Thread(target=stop)
        stopper.start()
        result = run(haul, api, "--job", "j", "--grace", "20s", source="s3://b/n.jsonl")
        stopper.join()
        assert result.code == 130, result.err
        assert "go on with:  haul process --job j" in result.err
        assert len(api.calls) < 500
        assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
        assert sorted(call.json()["n"] for call in api.calls) == list(range(500))


# What is said.


def test_programs_get_one_object_and_the_log_tells_the_run(haul: Box, picky: ApiServer) -> None:
    result = run(haul, picky, "--job", "j", "--json")
    (event,) = result.events
    assert event["job"] == "j"
    log = [json.loads(line) for line in (haul.cwd / "logs" / "processor.log").read_text().splitlines()]
    assert (log[0]["event"], log[-1]["event"]) == ("began", "ended")
    (letter,) = [line for line in log if line["event"] == "dead_letter"]
    assert (letter["kind"], letter["status"], letter["attempts"]) == ("rejected", 422, 1)


def test_the_log_says_why_it_stopped_and_shows_the_stack_where_everything_is_wanted(haul: Box) -> None:
    with ApiServer(Rule(401)) as api:
        run(haul, api, "--job", "j")
        log = (haul.cwd / "logs" / "processor.log").read_text()
        assert " error   stopped: " in log
        assert "Traceback" not in log
        run(haul, api, "--job", "j", "--log-level", "debug")
    assert "Traceback" in (haul.cwd / "logs" / "processor.log").read_text()


def test_a_log_that_cannot_be_written_is_told(haul: Box, api: ApiServer) -> None:
    (haul.cwd / "logs").write_text("a file")
    result = run(haul, api)
    assert result.code == 2
    assert "logs/processor.log cannot be written" in result.err
    assert api.calls == ()


def test_a_bar_shows_how_much_was_read_where_it_is_wanted(
    haul: Box, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulyard.observe.progress._PATIENCE", 0.0)
    result = run(haul, api, "--progress")
    assert result.code == 0
    assert "B/s]" in result.err
