"""Hands each event to those who listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haulyard.events import Emit, Event


class Subscribers:
    """A changing set of listeners behind one `Emit`, which can be handed out before they come."""

    def __init__(self) -> None:
        self._listeners: tuple[Emit, ...] = ()

    def emit(self, event: Event) -> None:
        """Hand ``event`` to every listener, in the order in which they came."""
        for listener in self._listeners:
            listener(event)

    def add(self, listener: Emit) -> None:
        """Let ``listener`` hear all further events."""
        self._listeners = (*self._listeners, listener)

    def remove(self, listener: Emit) -> None:
        """Let it hear no more."""
        self._listeners = tuple(each for each in self._listeners if each is not listener)
