"""Tables get their vectors: each text is paid for once, and no row is lost, whatever the endpoint does."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.ingest.embedding.working import (
    EMBEDS,
    SECRET,
    STAGED,
    TABLE,
    embeds,
    refuses,
    reviews,
    texts_sent,
    vector_of,
    working,
)

from haulyard.errors import ApiDenied, ApiUnavailable, ConfigError, IngestError, TransferError
from haulyard.ingest.embedding.job import embed
from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.anyio

POISON = Rule(400, contains="poison", body=refuses("maximum context length is 8192 tokens"))


async def test_each_row_gets_the_vector_of_its_text_and_the_rows_stay_in_order(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(1000))
        done = await work.load()
        assert await work.table() == [(number, text, tuple(vector_of(text))) for number, text in work.rows]
        assert (done.column, done.into, done.dimensions, done.texts) == ("text", "text_embedding", 4, 1000)
        assert (done.failed, done.rows_without, done.calls) == (0, 0, 10)
        assert {call.path for call in api.calls} == {"/embeddings"}
        assert {call.headers["authorization"] for call in api.calls} == {f"Bearer {SECRET}"}
        assert {len(call.json()["input"]) for call in api.calls} == {100}
        assert {call.json()["model"] for call in api.calls} == {"small"}


async def test_a_text_is_sent_once_and_rows_without_one_get_no_vector(tmp_path: Path) -> None:
    rows = [(1, "same"), (2, None), (3, "same"), (4, ""), (5, "naïve\u2028\x00😀"), (6, " ")]
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, rows)
        done = await work.load()
        assert texts_sent(api.calls) == {"same": 1, "naïve\u2028\x00😀": 1, " ": 1}
        assert await work.table() == [(n, text, tuple(vector_of(text)) if text else None) for n, text in rows]
        assert (done.texts, done.failed, done.rows_without, done.rows_failed) == (3, 0, 2, 0)


@pytest.mark.parametrize("rows", [[], [(1, None), (2, "")]])
async def test_without_any_text_nothing_is_sent_and_the_column_is_there(
    tmp_path: Path, rows: list[tuple[int, str | None]]
) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, rows)
        done = await work.load()
        assert await work.table() == [(*row, None) for row in rows]
        assert (done.texts, done.dimensions, done.rows_without, api.calls) == (0, 0, len(rows), ())
        assert work.files() == []


async def test_one_refused_text_costs_no_other_its_vector_and_is_told(tmp_path: Path) -> None:
    rows = [*reviews(150), (150, "poison"), (151, "poison"), *[(n + 200, f"more {n}") for n in range(50)]]
    async with ApiServer(POISON, EMBEDS) as api:
        work = working(tmp_path, api.url, rows)
        done = await work.load()
        assert await work.table() == [
            (number, text, None if text == "poison" else tuple(vector_of(text))) for number, text in rows
        ]
        assert set(texts_sent(api.calls).values()) == {1}
        assert (done.texts, done.failed, done.rows_without, done.rows_failed) == (201, 1, 2, 2)
        [(text, why)] = done.samples
        assert (text, why) == ("poison", "HTTP 400: maximum context length is 8192 tokens")
        letters = (tmp_path / "jobs" / done.job / "dead-letters.jsonl").read_text().splitlines()
        assert [json.loads(line)["record"]["text"] for line in letters] == ["poison"]


async def test_strict_nothing_is_loaded_and_the_next_try_pays_for_the_refused_text_alone(
    tmp_path: Path,
) -> None:
    async with ApiServer(POISON, EMBEDS) as api:
        work = working(tmp_path, api.url, [*reviews(150), (150, "poison")], strict=True)
        with pytest.raises(TransferError, match=r"1 of 151 texts have no vector, so nothing was loaded"):
            await work.load()
        assert await work.table() is None
        api.script(EMBEDS)
        done = await work.load()
        assert (done.failed, done.rows_without) == (0, 0)
        assert set(texts_sent(api.calls).values()) == {1}
        assert await work.table() == [(number, text, tuple(vector_of(text))) for number, text in work.rows]


async def test_where_every_text_is_refused_nothing_is_loaded(tmp_path: Path) -> None:
    async with ApiServer(Rule(400, body=refuses("no")), EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(3))
        with pytest.raises(IngestError, match=r"took not one of 3 texts: HTTP 400"):
            await work.load()
        assert await work.table() is None
        api.script(EMBEDS)
        assert (await work.load()).failed == 0


async def test_throttled_and_failing_at_times_it_pays_for_each_text_once(tmp_path: Path) -> None:
    rules = (
        Rule(429, retry_after=0.01, every=3, times=10),
        Rule(500, every=4, times=10),
        Rule(reset="before", every=9, times=2),
    )
    async with ApiServer(*rules, EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(500), batch=10)
        done = await work.load()
        assert (done.failed, done.rows_without) == (0, 0)
        assert set(texts_sent(api.calls).values()) == {1}
        assert await work.table() == [(number, text, tuple(vector_of(text))) for number, text in work.rows]


async def test_never_more_calls_than_are_allowed(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS, limit=(40, 0.5)) as api:
        work = working(tmp_path, api.url, reviews(100), batch=1, limits=((40, 0.5),))
        await work.load()
        assert (api.violations, len(api.calls)) == (0, 100)


async def test_an_endpoint_that_knows_no_base64_is_asked_for_numbers(tmp_path: Path) -> None:
    no = Rule(400, contains="encoding_format", body=refuses("unknown field", param="encoding_format"))
    async with ApiServer(no, EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(300))
        await work.load()
        assert await work.table() == [(number, text, tuple(vector_of(text))) for number, text in work.rows]
        assert [call.status for call in api.calls] == [400, 200, 200, 200]


async def test_a_shorter_vector_is_asked_for(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(3), dimensions=2, into="v")
        done = await work.load()
        assert (done.dimensions, done.into) == (2, "v")
        assert await work.table() == [(number, text, tuple(vector_of(text, 2))) for number, text in work.rows]


async def test_a_model_that_changes_is_noticed_and_started_over_with(tmp_path: Path) -> None:
    changed = Rule(body=lambda call: embeds(call, 3), where=lambda call: call.number > 2)
    async with ApiServer(changed, EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(500), max_in_flight=1)
        for _ in range(2):
            with pytest.raises(IngestError, match=r"vectors of 4 numbers, and now of 3") as raised:
                await work.load()
            assert "Embedding(new=True)" in raised.value.hint
        assert await work.table() is None
        work.asked(new=True)
        done = await work.load()
        assert (done.dimensions, done.rows_without) == (3, 0)


@pytest.mark.parametrize(
    ("rule", "error", "says"),
    [
        (Rule(404, body=refuses("no such model", code="model_not_found")), ConfigError, "'small': HTTP 404"),
        (Rule(400, body=refuses("invalid model ID", param="model")), ConfigError, "invalid model ID"),
        (Rule(405), ConfigError, "does not embed"),
        (Rule(401, body=refuses("Incorrect API key")), ApiDenied, "Incorrect API key"),
        (Rule(429, body=refuses("You exceeded your quota", code="insufficient_quota")), ApiDenied, "quota"),
        (Rule(402), ApiDenied, "serves this account no more"),
        (Rule(308, headers={"location": "https://elsewhere/v1"}), ConfigError, "is at https://elsewhere/v1"),
    ],
)
async def test_what_concerns_all_texts_ends_it_with_the_first_call(
    tmp_path: Path, rule: Rule, error: type[Exception], says: str
) -> None:
    async with ApiServer(rule) as api:
        work = working(tmp_path, api.url, reviews(500))
        with pytest.raises(error, match=says):
            await work.load()
        assert len(api.calls) == 1
        assert await work.table() is None
        api.script(EMBEDS)
        assert (await work.load()).rows_without == 0


@pytest.mark.parametrize(
    "body", ["", "[]", '{"data":[]}', '{"data":[{"embedding":[1]},{"embedding":["x"]}]}']
)
async def test_answers_without_vectors_are_no_vectors(tmp_path: Path, body: str) -> None:
    async with ApiServer(Rule(body=body)) as api:
        work = working(tmp_path, api.url, reviews(2))
        with pytest.raises(ApiUnavailable, match="the answer"):
            await work.load()
        assert await work.table() is None


async def test_an_endpoint_that_is_not_reached_is_said_so(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(3))
        api.die()
        with pytest.raises(ApiUnavailable, match="cannot be used") as raised:
            await work.load()
        assert "run the same command again" in raised.value.hint
        api.come_back()
        assert (await work.load()).rows_without == 0


async def test_a_directory_of_jobs_that_cannot_be_made_is_said_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    (tmp_path / "jobs").write_text("a file")
    async with ApiServer(EMBEDS) as api:
        with pytest.raises(ConfigError, match="cannot be kept in"):
            await working(tmp_path, api.url, reviews(3)).load()
        assert api.calls == ()


async def test_cancelled_it_pays_again_for_what_was_in_flight_at_most(
    tmp_path: Path,
) -> None:
    async with ApiServer(Rule(times=3, body=embeds)) as api:
        work = working(tmp_path, api.url, reviews(500), max_in_flight=1)
        loading = asyncio.create_task(work.load())
        await api.wait_for_async(count=3)
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        assert await work.table() is None
        api.script(EMBEDS)
        await work.load()
        sent = texts_sent(api.calls)
        assert len(sent) == 500
        # What was in flight when it was cancelled, and no more: one call.
        assert sum(number - 1 for number in sent.values()) <= 100


async def test_killed_at_the_worst_moment_it_pays_for_nothing_twice_that_was_answered(tmp_path: Path) -> None:
    hung = Rule(hang=True, where=lambda call: call.number > 30)
    async with ApiServer(hung, EMBEDS) as api:
        arguments = ("-m", "tests.ingest.embedding.loading", str(tmp_path), api.url, "5000")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        while int(await process.stdout.readline() or "3000") < 3000:
            pass
        await api.wait_for_async(count=31)
        process.kill()
        await process.wait()
        work = working(tmp_path, api.url, reviews(5000))
        assert await work.table() is None
        answered = texts_sent(api.calls[:30])
        assert (len(answered), set(answered.values())) == (3000, {1})
        seen = len(api.calls)
        api.script(EMBEDS)
        done = await work.load()
        assert not answered.keys() & texts_sent(api.calls[seen:]).keys()
        assert await work.table() == [(number, text, tuple(vector_of(text))) for number, text in work.rows]
        assert done.rows_without == 0


async def test_what_was_kept_goes_once_the_table_is_there_and_another_load_pays_again(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(10))
        first = await work.load()
        assert not [name for name in work.files() if "vectors" in name or "texts" in name]
        second = await work.load()
        assert (second.job, second.calls, set(texts_sent(api.calls).values())) == (first.job, 1, {2})


async def test_between_two_loads_a_finished_job_that_was_not_loaded_is_used(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, api.url, reviews(10))
        with suppress(KeyError):
            async with work.staged() as database:
                await embed(work.session, database, STAGED, work.embedding, table=TABLE)
                raise KeyError
        assert len(api.calls) == 1
        await work.load()
        assert len(api.calls) == 1


async def test_no_secret_is_kept_or_told(tmp_path: Path) -> None:
    async with ApiServer(Rule(401, body=refuses("no"), times=1), POISON, EMBEDS) as api:
        work = working(tmp_path, api.url, [*reviews(10), (10, "poison")])
        with pytest.raises(ApiDenied) as raised:
            await work.load()
        done = await work.load()
        told = [str(raised.value), raised.value.hint, repr(done), *map(repr, work.events)]
        assert not [each for each in told if SECRET in each]
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert kept
        assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


async def test_openai_itself_is_not_called_without_a_key(tmp_path: Path) -> None:
    work = working(tmp_path, "", reviews(1))
    work.environ.clear()
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        await work.load()


async def test_an_endpoint_of_ones_own_needs_no_key_and_comes_from_the_environment(tmp_path: Path) -> None:
    async with ApiServer(EMBEDS) as api:
        work = working(tmp_path, "", reviews(1))
        work.environ.clear()
        work.environ["OPENAI_BASE_URL"] = f"{api.url}/v1/"
        await work.load()
        [call] = api.calls
        assert (call.path, "authorization" in call.headers) == ("/v1/embeddings", False)
