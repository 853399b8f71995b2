"""Hands each event to those who listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haulyard.events import Emit, Event


class Subscribers:
    """A changing set of listeners behind one `Emit`, which can be handed out before they come."""

    def __init__(self) -> None:
        self._listeners: tuple[Emit, ...] = ()
        self._of_requests: tuple[Emit, ...] = ()

    def wants_requests(self) -> bool:
        """Whether anybody cares for the event of every single request."""
        return bool(self._of_requests)

    def emit(self, event: Event) -> None:
        """Hand ``event`` to every listener, in the order in which they came."""
        for listener in self._listeners:
            listener(event)

    def add(self, listener: Emit, *, requests: bool = True) -> None:
        """Let ``listener`` hear all further events; without ``requests`` it can do without RequestDone."""
        self._listeners = (*self._listeners, listener)
        if requests:
            self._of_requests = (*self._of_requests, listener)

    def remove(self, listener: Emit) -> None:
        """Let it hear no more."""
        self._listeners = tuple(each for each in self._listeners if each is not listener)
        self._of_requests = tuple(each for each in self._of_requests if each is not listener)
