"""One connection to the scripted API: a bare protocol, so that the server is no bottleneck of a test."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from time import monotonic, time
from typing import TYPE_CHECKING, Final, cast

from haulyard.testing._api_script import OK, Applied, Call, Log, Rule, error_body
from haulyard.testing._http1 import Answer, render_head

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CLOSES: Final = re.compile(rb"\r\nconnection:[ \t]*close|^[^\r]* HTTP/1\.0(?=\r|\Z)", re.IGNORECASE)
_WAITS: Final = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_END: Final = b"\r\n\r\n"
_FINE: Final = Rule()


def _whole(status: int, body: bytes) -> bytes:
    headers = {"content-type": "application/json"}
    return render_head(Answer(status, headers, body), keep_alive=status < 400) + body  # noqa: PLR2004


_GOOD: Final = _whole(200, OK)
_UNSIZED: Final = _whole(411, error_body(411))
_MALFORMED: Final = _whole(400, error_body(400))


class ApiWorld:
    """What all connections share: the script, the log, who is connected and who is held."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.count = 0
        self.violations = 0
        self.connections: set[ApiConnection] = set()
        self.held: list[tuple[ApiConnection, Rule, Call]] = []
        self.rules: list[Applied] = []
        #: Whether some rule ends calls before their body has been read.
        self.is_hasty = False

    def script(self, rules: Iterable[Rule]) -> None:
        """Replace all rules; what they had counted is forgotten."""
        self.rules = [Applied(rule) for rule in rules]
        self.is_hasty = any(applied.rule.reset == "before" for applied in self.rules)

    def choose(self, call: Call, *, hasty: bool) -> Rule | None:
        """Return the first rule that hits a call: of those that wait for its body, or of the others."""
        for applied in self.rules:
            if (applied.rule.reset == "before") is hasty and applied.hits(call):
                self.violations += applied.rule.limit is not None
                return applied.rule
        return None

    def release(self) -> None:
        """Answer every call that is held."""
        held, self.held = self.held, []
        for connection, rule, call in held:
            connection.finish(rule, call)


class ApiConnection(asyncio.Protocol):
    """Answers one call after the other; what comes while a call waits for its answer has to wait, too."""

    __slots__ = ("_buffer", "_let_in", "_needed", "_socket", "_transport", "_waiting", "_world")

    def __init__(self, world: ApiWorld, accepted: socket.socket) -> None:
        self._world = world
        self._socket = accepted
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._needed = 0
        self._let_in = False
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part."""
        # uvloop's is none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._world.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Take no part any more; a call that was held is not answered."""
        world = self._world
        world.connections.discard(self)
        world.held = [entry for entry in world.held if entry[0] is not self]

    def data_received(self, data: bytes) -> None:
        """Answer the calls that are here whole, and keep the rest."""
        buffer = self._buffer
        if not buffer and not self._waiting:
            served = self._serve(data)
            if served < len(data):
                buffer += data[served:]
            return
        buffer += data
        if not self._waiting and len(buffer) >= self._needed:
            self._serve_kept()

    def reset(self) -> None:
        """End the connection with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def finish(self, rule: Rule, call: Call) -> None:
        """Answer a call that waited, and go on with what has come meanwhile."""
        if self._transport.is_closing():
            return
        self._waiting = False
        self._end(rule, call)
        self._serve_kept()

    def _serve_kept(self) -> None:
        kept = bytes(self._buffer)
        del self._buffer[: self._serve(kept)]

    def _serve(self, data: bytes) -> int:
        """Answer the calls at the beginning of ``data``; return how many bytes they took."""
        start = 0
        self._needed = 0
        while not (self._waiting or self._transport.is_closing()):
            end = data.find(_END, start)
            if end < 0:
                break
            head = data[start:end]
            sized = _LENGTH.search(head)
            behind = end + len(_END) + (int(sized[1]) if sized else 0)
            if sized is None and _CHUNKED.search(head):
                return self._refuse(_UNSIZED, data)
            if self._world.is_hasty and not self._let_in and self._is_ended_early(head):
                return len(data)
            if behind > len(data):
                self._needed = behind - start
                self._ask_for_body(head)
                break
            self._let_in = False
            call = self._recorded(head, data[end + len(_END) : behind])
            start = behind
            if call is None:
                return self._refuse(_MALFORMED, data)
        return start

    def _recorded(self, head: bytes, body: bytes) -> Call | None:
        """Write a call down and answer it; None if it is none."""
        call = self._call(head, body, 200)
        if call is None:
            return None
        world = self._world
        if not world.rules:
            world.log.add(call)
            self._transport.write(_GOOD)
            self._close_if_asked(call)
        else:
            rule = world.choose(call, hasty=False) or _FINE
            call = call._replace(status=rule.status if rule.answers else 0)
            # It is held before a test that sees it in the log can release it.
            if rule.hang:
                self._waiting = True
                world.held.append((self, rule, call))
            world.log.add(call)
            if rule.delay and not rule.hang:
                self._waiting = True
                asyncio.get_running_loop().call_later(rule.delay, self.finish, rule, call)
            elif not rule.hang:
                self._end(rule, call)
        return call

    def _call(self, head: bytes, body: bytes, status: int) -> Call | None:
        try:
            method, path, version = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        except ValueError:
            return None
        if not version.startswith("HTTP/1."):
            return None
        world = self._world
        world.count += 1
        return Call(world.count, monotonic(), time(), method, path, head, body, status)

    def _end(self, rule: Rule, call: Call) -> None:
        if rule.reset:
            self.reset()
            return
        if not rule.close:
            self._transport.write(rule.answer_to(call))
        if rule.close or rule.half:
            self._transport.close()
        self._close_if_asked(call)

    def _close_if_asked(self, call: Call) -> None:
        if _CLOSES.search(call.head):
            self._transport.close()

    def _is_ended_early(self, head: bytes) -> bool:
        """Whether a rule resets the connection now that a head is here; then the call is written down."""
        self._let_in = True  # asked once, not for every piece of the body
        world = self._world
        call = self._call(head, b"", 0)
        if call is None:
            return False
        if world.choose(call, hasty=True) is None:
            world.count -= 1
            return False
        world.log.add(call)
        self.reset()
        return True

    def _ask_for_body(self, head: bytes) -> None:
        if _WAITS.search(head):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse(self, answer: bytes, data: bytes) -> int:
        self._transport.write(answer)
        self._transport.close()
        return len(data)
