"""Settings, secrets and flags of `haul process`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.process.running import (
    SECRET,
    complete,
    everything_written,
    jobs,
)

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from tests.cli.conftest import Box


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
    assert "there is no job 'typo'" in haul("process", "--job", "typo").err
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
        (["--method", "GET"], "invalid choice: 'GET'"),
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
