"""What `haul process` sends."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.process.running import (
    ANN,
    BOB,
    CID,
    jobs,
    run,
    sent,
)

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from tests.cli.conftest import Box


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
