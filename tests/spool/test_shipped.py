"""What a shipper remembers, also after its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import SpoolError
from haulyard.events import Warned
from haulyard.spool.finished import Identity
from haulyard.spool.shipped import Begun, Kept, State

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = Identity(1, 2, 3, 4), Identity(1, 2, 3, 5)


def test_what_is_kept_is_known_to_the_next_and_can_be_forgotten(tmp_path: Path) -> None:
    state = State(str(tmp_path), "there")
    state.keep([Kept("a\udce9\n.xml", ONE, "k", "s", "e", 1.0), Kept("b.xml", OTHER, "k", "s", "e", 1.0)])
    state.close()
    state = State(str(tmp_path), "there")
    assert state.kept == {"a\udce9\n.xml": ONE, "b.xml": OTHER}
    state.forget(["b.xml", "c.xml"])
    state.close()
    state = State(str(tmp_path), "there")
    assert state.kept == {"a\udce9\n.xml": ONE}
    state.close()


def test_what_is_kept_is_kept_for_one_destination(tmp_path: Path) -> None:
    state = State(str(tmp_path), "there")
    state.keep([Kept("a.xml", ONE, "k", "s", "e", 1.0)])
    state.close()
    state = State(str(tmp_path), "elsewhere")
    assert state.kept == {}
    state.close()


def test_tries_count_for_one_content_and_survive(tmp_path: Path) -> None:
    state = State(str(tmp_path), "there")
    state.failed("a.xml", ONE, 3, "why\udce9")
    state.close()
    state = State(str(tmp_path), "there")
    assert (state.tries("a.xml", ONE), state.tries("a.xml", OTHER), state.tries("b", ONE)) == (3, 0, 0)
    state.ended("a.xml")
    assert state.tries("a.xml", ONE) == 0
    state.close()


def test_an_upload_that_began_is_known_until_it_has_ended(tmp_path: Path) -> None:
    state = State(str(tmp_path), "there")
    state.begin("a.xml", Begun(ONE, "store", "key", 1.5))
    state.close()
    state = State(str(tmp_path), "there")
    assert state.begun == {"a.xml": Begun(ONE, "store", "key", 1.5)}
    state.ended("a.xml")
    state.close()
    state = State(str(tmp_path), "there")
    assert state.begun == {}
    state.close()


def test_a_damaged_state_is_put_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database" * 1000)
    told: list[object] = []
    state = State(str(tmp_path), "there", told.append)
    state.keep([Kept("a.xml", ONE, "k", "s", "e", 1.0)])
    state.close()
    (warning,) = told
    assert isinstance(warning, Warned)
    assert "damaged" in warning.message
    assert (tmp_path / "state.db.damaged").read_bytes().startswith(b"not a")


def test_a_state_that_cannot_be_written_says_so_and_stays_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(SpoolError):
        State(str(tmp_path / "missing"), "there")
    state = State(str(tmp_path), "there")
    state._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(SpoolError, match="cannot be used"):
        state.keep([Kept("a.xml", ONE, "k", "s", "e", 1.0)])
    assert state.kept == {}
    state.close()
