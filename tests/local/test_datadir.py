"""What lies in the data directory, and who can read it."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from haulyard.errors import ConfigError
from haulyard.local.datadir import Credentials, DataDir, State, default_data_dir
from haulyard.local.weed import Ports

PORTS = Ports(s3=11001, filer=11002, volume=11003, master=11004, admin=11005)


@pytest.fixture
def directory(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path / "store")
    made.create()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_defaults_to_the_current_one() -> None:
    assert default_data_dir({}) == Path(".haul/local")


def test_the_environment_names_another_directory() -> None:
    assert default_data_dir({"HAUL_LOCAL_DIR": "/srv/store"}) == Path("/srv/store")


def test_the_directory_is_the_users_alone(directory: DataDir) -> None:
    assert mode(directory.path) == 0o700
    assert mode(directory.data) == 0o700


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/store"):
        DataDir(tmp_path / "file" / "store").create()


def test_a_comma_in_the_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="comma"):
        DataDir(tmp_path / "a,b").create()


def test_credentials_are_generated_once(directory: DataDir) -> None:
    first = directory.credentials()
    assert directory.credentials() == first
    assert DataDir(directory.path).credentials() == first
    assert (len(first.access_key), len(first.secret_key)) == (20, 40)


def test_two_stores_have_different_credentials(directory: DataDir, tmp_path: Path) -> None:
    other = DataDir(tmp_path / "other")
    other.create()
    assert directory.credentials().access_key != other.credentials().access_key


def test_only_the_user_can_read_the_credentials(directory: DataDir) -> None:
    directory.credentials()
    assert mode(directory.credentials_file) == 0o600


def test_credentials_that_became_readable_are_closed_again(directory: DataDir) -> None:
    directory.credentials()
    directory.credentials_file.chmod(0o644)
    directory.credentials()
    assert mode(directory.credentials_file) == 0o600


def test_the_secret_is_not_shown() -> None:
    assert "hidden" not in repr(Credentials("HAULKEY", "hidden"))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"identities": []}', '{"identities": [{"credentials": [{}]}]}']
)
def test_damaged_credentials_are_named(directory: DataDir, content: str) -> None:
    directory.credentials_file.write_text(content)
    with pytest.raises(ConfigError, match=r"credentials\.json") as raised:
        directory.credentials()
    assert "remove" in raised.value.hint


def test_the_state_comes_back_as_it_was_noted(directory: DataDir) -> None:
    state = State(PORTS, 4711, ready=True)
    directory.note(state)
    assert directory.state() == state


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ports": null, "pid": 1}', '{"ports": {"s3": 1}}'])
def test_a_damaged_state_says_nothing_runs(directory: DataDir, content: str) -> None:
    (directory.path / "state.json").write_text(content)
    assert directory.state() == State()


def test_noting_leaves_no_temporary_file(directory: DataDir) -> None:
    directory.note(State(PORTS))
    assert sorted(entry.name for entry in directory.path.iterdir()) == ["data", "state.json"]
    assert json.loads((directory.path / "state.json").read_text())["pid"] is None


def test_the_lock_excludes_others_while_it_is_held(directory: DataDir) -> None:
    with directory.lock():
        descriptor = os.open(directory.path / "lock", os.O_RDWR)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)


def test_a_lock_that_cannot_be_opened_is_a_configuration_error(directory: DataDir) -> None:
    (directory.path / "lock").mkdir()
    with pytest.raises(ConfigError, match="cannot be used"), directory.lock():
        pass


def test_the_log_of_the_run_before_is_kept(directory: DataDir) -> None:
    directory.rotate_log()
    directory.log_file.write_text("first")
    directory.rotate_log()
    assert not directory.log_file.exists()
    assert (directory.path / "weed.log.1").read_text() == "first"


def test_the_tail_of_the_log_skips_empty_lines(directory: DataDir) -> None:
    assert not directory.log_tail()
    directory.log_file.write_text("a\n\nb\nc\n\nd\n\n")
    assert directory.log_tail() == "b\nc\nd"


def test_options_saved_by_an_earlier_release_are_forgotten(directory: DataDir) -> None:
    saved = directory.data / "mini.options"
    saved.write_text("webdav=true")
    directory.forget_saved_options()
    directory.forget_saved_options()
    assert not saved.exists()
