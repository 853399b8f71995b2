"""Gives files their keys: the one that the rules make, or the one under which their upload has begun."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from haulyard.events import Warned
from haulyard.spool.keys import key_of
from haulyard.spool.shipped import Begun

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.spool.finished import Candidate
    from haulyard.spool.keys import KeyRules
    from haulyard.spool.premises import Premises

_WHERE: Final = {"mtime": "that of the file is taken", "now": "today is taken", "none": "none is taken"}


class Addressing:
    """The keys of the files of one directory.

    Args:
        premises: What is open meanwhile.
        keys: How keys are made of names.
        emit: Told once of names without a date.
    """

    def __init__(self, premises: Premises, keys: KeyRules, emit: Emit) -> None:
        self._premises = premises
        self._keys = keys
        self._emit = emit
        self._has_guessed = False

    def key_of(self, candidate: Candidate, key: str = "") -> tuple[str, float]:
        """Return the key of a file, unless ``key`` is given, and the time that it gives as its upload's.

        Raises:
            UnsafeName: It can have none.
            SpoolError: That it begins cannot be remembered, which an upload in parts needs.
        """
        premises, identity, name, now = self._premises, candidate.identity, candidate.name, time.time()
        begun = premises.state.begun.get(name)
        is_same = begun is not None and (begun.identity, begun.store) == (identity, premises.store.identity)
        if begun is not None and is_same and key in {"", begun.key}:
            return begun.key, begun.at
        if not key:
            found = key_of(name, self._keys, modified=candidate.mtime_ns / 1e9, now=now)
            key = found.key
            if found.is_guessed and not self._has_guessed:
                self._has_guessed = True
                where = _WHERE[self._keys.date_from]
                path = os.path.join(premises.path, name)
                self._emit(Warned(f"{path} has no date in its name: {where}, as for others"))
        if premises.carrier.is_large(candidate.size):
            premises.state.begin(name, Begun(identity, premises.store.identity, key, now))
        return key, now
