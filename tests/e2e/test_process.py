"""`haul process` as a user runs it: exit codes, what is said, and signals."""

from __future__ import annotations

import gzip
import json
import random
import resource
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import Program, bare_environment
from tests.records.working import csv_of, delivered

from haulyard.testing.api import ApiServer, Rule
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from haulyard.testing.faults import RecordedRequest

_PATIENCE = 30


@pytest.fixture
def haul(tmp_path: Path) -> Program:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    (cwd / "in.csv").write_bytes(csv_of(300))
    return Program(cwd, bare_environment(tmp_path))


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as api:
        yield api


def words(api: ApiServer, *more: str, source: str = "in.csv", rate: str = "0") -> list[str]:
    return ["process", source, "--to", api.url, "--job", "j", "--rate-limit-calls", rate, *more]


def status(haul: Program) -> dict[str, Any]:
    found: dict[str, Any] = haul.ok("status", "j", "--json").events[-1]
    return found


def stopped(haul: Program, api: ApiServer, calls: int, *signals: int, more: list[str]) -> tuple[int, str]:
    """Start it, send it signals once so many calls were made, and return how it ended and what it said."""
    process = haul.start(*more)
    assert process.stderr is not None
    try:
        api.wait_for(timeout=_PATIENCE, count=calls)
        for number in signals:
            process.send_signal(number)
            while line := process.stderr.readline():
                if b"stopping:" in line:
                    break
        api.release()
        _, said = process.communicate(timeout=_PATIENCE)
    finally:
        process.kill()
    return process.returncode, said.decode()


def test_nothing_but_env_files_is_needed(haul: Program, api: ApiServer) -> None:
    with FaultServer() as s3:
        s3.objects["bucket", "in/people.csv"] = csv_of(50)
        (haul.cwd / ".env").write_text(
            f"S3_BUCKET=bucket\nS3_KEY=in/people.csv\nAPI_ENDPOINT={api.url}\nMAX_WORKERS=4\n"
            f"RATE_LIMIT_CALLS=5000\nAWS_ENDPOINT_URL_S3={s3.url}\nAWS_REGION=us-east-1\n"
            "AWS_ACCESS_KEY_ID=AKIDEXAMPLE\nAWS_SECRET_ACCESS_KEY=x\n"
        )
        done = haul("process")
        assert done.code == 0, done.err
        assert sorted(delivered(api.calls)) == list(range(50))
        assert (haul.cwd / "logs" / "processor.log").exists()
        # Run again it has nothing to do.
        assert (haul("process").code, len(api.calls)) == (0, 50)


def test_an_endpoint_that_is_not_reached_is_exit_5_and_no_record_is_consumed(
    haul: Program, api: ApiServer
) -> None:
    api.die()
    done = haul(*words(api))
    assert done.code == 5
    assert "haul process --job j" in done.err
    assert status(haul)["records"] == 0
    api.come_back()
    assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
    assert sorted(delivered(api.calls)) == list(range(300))


@pytest.mark.parametrize(("rule", "code"), [(Rule(401), 3), (Rule(403), 3), (Rule(400), 5), (Rule(307), 2)])
def test_what_concerns_every_record_ends_the_job_without_dead_letters(
    haul: Program, api: ApiServer, rule: Rule, code: int
) -> None:
    api.script(rule)
    done = haul(*words(api))
    assert done.code == code, done.err
    assert haul.ok("process", "--dead-letters", "j").out == ""
    api.script()
    assert haul(*words(api)).code == 0
    assert sorted(delivered(api.calls)) == list(range(300))


def test_records_that_fail_are_exit_1_and_can_be_sent_again(haul: Program, api: ApiServer) -> None:
    api.script(Rule(422, contains='"7"', body='{"why":"no sevens"}'))
    done = haul(*words(api))
    assert done.code == 1
    (letter,) = map(json.loads, haul.ok("process", "--dead-letters", "j").out.splitlines())
    assert (letter["record"], letter["answer"], letter["status"]) == (
        {"id": "7", "name": "n7"},
        {"why": "no sevens"},
        422,
    )
    assert haul(*words(api)).code == 1
    api.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 0
    assert haul(*words(api)).code == 0
    assert sorted(delivered(api.calls)) == list(range(300))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_finishes_what_is_in_flight_and_says_how_to_go_on(
    haul: Program, api: ApiServer, number: int
) -> None:
    api.script(Rule(hang=True, where=lambda call: call.number > 100))
    code, said = stopped(haul, api, 105, number, more=words(api, "--max-in-flight", "5"))
    assert code == 130
    assert "haul process --job j" in said
    assert status(haul)["delivered"] == len(api.calls) == 105
    api.script()
    assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
    assert sorted(delivered(api.calls)) == list(range(300))


def test_two_signals_stop_at_once_and_it_goes_on(haul: Program, api: ApiServer) -> None:
    api.script(Rule(hang=True, where=lambda call: call.number > 100))
    process = haul.start(*words(api, "--max-in-flight", "5"))
    assert process.stderr is not None
    api.wait_for(timeout=_PATIENCE, count=105)
    process.send_signal(signal.SIGINT)
    while b"stopping:" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    # Those in flight had half a minute.
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert status(haul)["delivered"] == 100
    api.script()
    api.release()
    assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
    assert set(delivered(api.calls)) == set(range(300))


def test_a_signal_in_an_hour_of_pause_ends_it_at_once(haul: Program, api: ApiServer) -> None:
    api.script(Rule(429, retry_after=3600))
    code, said = stopped(haul, api, 1, signal.SIGINT, more=words(api))
    assert code == 130
    assert "haul process --job j" in said


def test_two_processes_do_not_work_on_one_job(haul: Program, api: ApiServer) -> None:
    api.script(Rule(hang=True))
    process = haul.start(*words(api))
    try:
        api.wait_for(timeout=_PATIENCE)
        other = haul(*words(api))
        assert other.code == 2
        assert str(process.pid) in other.err
        api.script()
        api.release()
        process.communicate(timeout=_PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0


def test_a_replaced_source_is_exit_2_and_named(haul: Program, api: ApiServer) -> None:
    haul.ok(*words(api, "--limit", "100"))
    (haul.cwd / "in.csv").write_bytes(csv_of(301))
    done = haul(*words(api))
    assert done.code == 2
    assert "in.csv" in done.err
    assert "replaced" in done.err


def test_damaged_gzip_is_exit_1_and_the_other_objects_go_on(haul: Program, api: ApiServer) -> None:
    directory = haul.cwd / "in"
    directory.mkdir()
    packed = gzip.compress(random.Random(1).randbytes(3000).hex().encode())
    (directory / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    (directory / "b.csv").write_bytes(csv_of(20))
    assert haul(*words(api, source="in/")).code == 1
    assert sorted(delivered(api.calls)[-20:]) == list(range(20))
    (unread,) = status(haul)["unread"]
    assert unread["key"] == "a.csv.gz"
    assert "cut short" in unread["message"]


def test_credentials_that_expire_in_mid_run_are_fetched_again(haul: Program, api: ApiServer) -> None:
    # Each key serves for a few requests, then only a new one does.
    used: dict[str, int] = {}

    def serves(request: RecordedRequest) -> bool:
        key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        used[key] = used.get(key, 0) + 1
        return used[key] <= 12

    expired = Fault(
        attempts="all",
        where=lambda request: not serves(request),
        status=400,
        body=error_xml("ExpiredToken", "The provided token has expired."),
    )
    names = [f"in/{number}.csv" for number in range(40)]
    script = haul.cwd / "key.sh"
    script.write_text(
        "n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n > n\n"
        'printf \'{"Version":1,"AccessKeyId":"AKID%s","SecretAccessKey":"x","SessionToken":"t",'
        '"Expiration":"2099-01-01T00:00:00Z"}\' $n\n'
    )
    home = haul.cwd / "config"
    home.write_text(f"[default]\nregion=us-east-1\ncredential_process=sh {script}\n")
    with FaultServer(expired) as s3:
        for number, name in enumerate(names):
            s3.objects["bucket", name] = csv_of(2, first=2 * number)
        done = haul(
            *words(api, source="s3://bucket/in/"), AWS_CONFIG_FILE=str(home), AWS_ENDPOINT_URL_S3=s3.url
        )
    assert done.code == 0, done.err
    assert sorted(delivered(api.calls)) == list(range(80))
    assert len(used) > 1


def test_a_full_disk_is_exit_2_and_the_job_goes_on(haul: Program, api: ApiServer) -> None:
    (haul.cwd / "in.csv").write_bytes(csv_of(20_000))
    api.script(Rule(422, where=lambda call: call.number % 2 == 0))

    def limit() -> None:
        # No file may grow above this: the ledger cannot keep its dead letters.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [haul.path, *words(api)],
        cwd=haul.cwd,
        env=haul.environ,
        preexec_fn=limit,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr.decode()
    api.script()
    assert haul(*words(api)).code == 1
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 0
    assert set(delivered(api.calls)) == set(range(20_000))
