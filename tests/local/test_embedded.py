"""The embedded store as its users meet it, with a real SeaweedFS."""

from __future__ import annotations

import os
import random
import signal
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from haulyard.errors import ConfigError, StoreError
from haulyard.local import EmbeddedStatus, EmbeddedStore, launcher, weed
from haulyard.local.datadir import DataDir, State

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "store")
    yield store
    store.stop(grace=0)


def client(store: EmbeddedStore) -> Any:
    variables = store.environment()
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL_S3"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 0}),
    )


def fake_weed(directory: Path, script: str) -> Path:
    """A program in place of SeaweedFS that takes its arguments and does as ``script`` says."""
    program = directory / "weed"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def listening_addresses(pid: int) -> set[str]:
    """The addresses, in the kernel's notation, on which a process accepts TCP connections."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {fields[1].partition(":")[0] for fields in lines if fields[3] == "0A" and fields[9] in inodes}


def test_ready_means_that_a_write_succeeds_at_once(store: EmbeddedStore) -> None:
    store.start()
    s3 = client(store)
    s3.create_bucket(Bucket="first")
    s3.put_object(Bucket="first", Key="a/b", Body=b"content")
    assert s3.get_object(Bucket="first", Key="a/b")["Body"].read() == b"content"


def test_objects_credentials_and_endpoint_survive_a_kill(store: EmbeddedStore) -> None:
    before = store.start()
    variables = store.environment()
    s3 = client(store)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"content")
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    assert launcher.wait_until_gone(before.pid, "mini", timeout=10)
    assert not store.status().running

    after = store.start()
    assert after.pid != before.pid
    assert store.environment() == variables
    assert client(store).get_object(Bucket="kept", Key="k")["Body"].read() == b"content"


def test_it_accepts_connections_from_this_machine_only(store: EmbeddedStore) -> None:
    pid = store.start().pid
    assert pid is not None
    assert listening_addresses(pid) == {"0100007F"}


def test_wrong_credentials_are_refused(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.start()
    genuine = store.environment()
    monkeypatch.setattr(store, "environment", lambda: genuine | {"AWS_SECRET_ACCESS_KEY": "guessed"})
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(store).list_buckets()


def test_starting_twice_reports_the_one_that_runs(store: EmbeddedStore) -> None:
    first = store.start()
    assert store.start() == first
    assert EmbeddedStore(first.data_dir).start() == first


def test_files_with_secrets_are_the_users_alone(store: EmbeddedStore) -> None:
    status = store.start()
    assert stat.S_IMODE(status.credentials_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(status.data_dir.stat().st_mode) == 0o700


def test_variables_of_the_user_do_not_change_the_server(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_BUCKET", "surprise")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASURPRISE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "surprise")
    store.start()
    assert client(store).list_buckets()["Buckets"] == []


def test_stopping_leaves_nothing_behind(store: EmbeddedStore) -> None:
    status = store.start()
    port = status.endpoint_url.rpartition(":")[2]
    assert list(Path("/tmp").glob(f"seaweedfs-*{port}.sock"))  # noqa: S108 - weed's own choice
    assert store.stop()
    assert not store.status().running
    assert not list(Path("/tmp").glob(f"seaweedfs-*{port}.sock"))  # noqa: S108
    assert not store.stop()


def test_a_store_that_was_never_started_is_not_running(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "nowhere")
    status = store.status()
    assert (status.running, status.endpoint_url, status.pid) == (False, "", None)
    assert not store.stop()
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ConfigError, match="not running") as raised:
        store.environment()
    assert "haul local start" in raised.value.hint


def test_a_stale_state_never_leads_to_another_process(store: EmbeddedStore, tmp_path: Path) -> None:
    directory = DataDir(tmp_path / "store")
    directory.create()
    ports = next(weed.candidate_ports(None, random.SystemRandom()))
    # This very process, as if the process id had been given out anew.
    directory.note(State(ports, os.getpid(), ready=True))
    assert not store.status().running
    assert not store.stop()
    assert store.start().pid != os.getpid()


def test_a_server_left_half_started_is_replaced(store: EmbeddedStore, tmp_path: Path) -> None:
    first = store.start()
    directory = DataDir(tmp_path / "store")
    state = directory.state()
    directory.note(State(state.ports, state.pid, ready=False))
    second = store.start()
    assert first.pid is not None
    assert second.pid != first.pid
    assert second.running


def test_a_port_taken_at_the_last_moment_is_given_up_for_another(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = weed.candidate_ports(None, random.SystemRandom())
    taken, free = next(genuine), next(genuine)
    monkeypatch.setattr(weed, "candidate_ports", lambda _previous, _chooser: iter([taken, free]))
    with socket.socket() as other:
        other.bind((weed.HOST, taken.s3))
        other.listen()
        assert store.start().endpoint_url == f"http://{weed.HOST}:{free.s3}"


def test_without_any_free_port_it_says_so(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = fake_weed(tmp_path, "echo Port allocation failed; exit 1")
    monkeypatch.setattr(weed, "find_weed", lambda: str(program))
    with pytest.raises(StoreError, match="no free ports"):
        store.start()


def test_a_server_that_fails_shows_the_end_of_its_log(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = fake_weed(tmp_path, "echo flag provided but not defined: -s3; exit 2")
    monkeypatch.setattr(weed, "find_weed", lambda: str(program))
    with pytest.raises(StoreError, match="ended while it started") as raised:
        store.start()
    assert "flag provided but not defined" in raised.value.hint
    assert "weed.log" in raised.value.hint


def test_a_server_that_never_answers_is_ended_in_time(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = fake_weed(tmp_path, "while :; do sleep 1; done")
    monkeypatch.setattr(weed, "find_weed", lambda: str(program))
    launched: list[launcher.Launched] = []
    launch = launcher.launch

    def remember(*command: Any, **options: Any) -> launcher.Launched:
        launched.append(launch(*command, **options))
        return launched[-1]

    monkeypatch.setattr(launcher, "launch", remember)
    with pytest.raises(StoreError, match=r"not ready after 0\.3 s"):
        store.start(timeout=0.3)
    assert not launcher.is_alive(launched[0].pid, weed.data_flag(tmp_path / "store" / "data"))


def test_a_server_of_another_user_is_named(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.start()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(launcher, "terminate", refuse)
        with pytest.raises(StoreError, match="of another user"):
            store.stop()


def test_a_server_that_cannot_be_ended_is_named(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = store.start().pid
    with monkeypatch.context() as patch:
        patch.setattr(launcher, "terminate", lambda _pid, _marker, *, grace: grace < 0)
        with pytest.raises(StoreError, match=f"process {pid} ignores SIGKILL"):
            store.stop()


def test_as_a_context_manager_it_ends_with_the_block(store: EmbeddedStore) -> None:
    with store as entered:
        assert entered.status().running
    assert not store.status().running


def test_the_block_leaves_a_server_alone_that_already_ran(store: EmbeddedStore) -> None:
    running = store.start()
    with EmbeddedStore(running.data_dir):
        pass
    assert store.status() == running


def test_run_stays_until_it_is_stopped_from_elsewhere(store: EmbeddedStore) -> None:
    seen: list[EmbeddedStatus] = []
    stopper = threading.Thread(target=lambda: EmbeddedStore(seen[0].data_dir).stop())

    def on_ready(status: EmbeddedStatus) -> None:
        seen.append(status)
        stopper.start()

    store.run(on_ready)
    stopper.join()
    assert seen[0].running
    assert not store.status().running


def test_run_ends_the_server_when_it_is_interrupted(store: EmbeddedStore) -> None:
    def interrupt(_: EmbeddedStatus) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.run(interrupt)
    assert not store.status().running


def test_run_says_when_the_server_died(store: EmbeddedStore) -> None:
    def kill(status: EmbeddedStatus) -> None:
        os.kill(status.pid or 0, signal.SIGKILL)

    with pytest.raises(StoreError, match="ended by itself"):
        store.run(kill)


def test_run_beside_a_running_server_is_refused(store: EmbeddedStore) -> None:
    running = store.start()
    with pytest.raises(StoreError, match=f"already runs as process {running.pid}"):
        EmbeddedStore(running.data_dir).run()
    assert store.status() == running


@pytest.mark.soak
def test_hundreds_of_buckets_and_a_gibibyte_fit(store: EmbeddedStore) -> None:
    store.start()
    s3 = client(store)
    for number in range(300):
        s3.create_bucket(Bucket=f"bucket-{number}")
        s3.put_object(Bucket=f"bucket-{number}", Key="k", Body=b"content")
    content = os.urandom(1 << 20) * 1024
    s3.put_object(Bucket="bucket-0", Key="large", Body=content)
    assert s3.get_object(Bucket="bucket-0", Key="large")["Body"].read() == content
