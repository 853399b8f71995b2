"""What systemd is told: ready, what is going on, still alive, stopping. Nothing where no systemd listens.

The protocol is that of sd_notify(3): datagrams of ``NAME=value`` lines to the socket in ``NOTIFY_SOCKET``,
whose name begins with ``@`` where it is abstract. ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` say whether, and how
often, signs of life are wanted (sd_watchdog_enabled(3)).
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: systemd shows one line, and cuts a longer one anyway.
_LONGEST_STATUS: Final = 500


class Notifier:
    """Tells systemd how a service is doing; each call is one datagram that is sent or dropped, at once.

    Nothing here raises: a service manager that does not listen is no reason to stop the work.

    Attributes:
        watchdog_interval: Seconds between two signs of life, half of what systemd waits for; 0.0 for none.
    """

    def __init__(self, address: str = "", *, watchdog_interval: float = 0.0) -> None:
        self.watchdog_interval = watchdog_interval if address else 0.0
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._last_status = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, pid: int) -> Notifier:
        """Return one for the manager that started the process ``pid``, if one did."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        usec = environ.get("WATCHDOG_USEC", "")
        is_wanted = usec.isdecimal() and environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        return cls(address, watchdog_interval=int(usec) / 2_000_000 if is_wanted else 0.0)

    def ready(self, status: str = "") -> None:
        """Say that the service works from now on (``Type=notify`` waits for it)."""
        self._send("READY=1", *self._status(status))

    def status(self, text: str) -> None:
        """Say in one line what is going on; `systemctl status` shows it. The same again is not sent."""
        if lines := self._status(text):
            self._send(*lines)

    def stopping(self, status: str = "") -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1", *self._status(status))

    def alive(self) -> None:
        """Give one sign of life."""
        self._send("WATCHDOG=1")

    async def keep_alive(self, is_well: Callable[[], bool] = lambda: True) -> None:
        """Give signs of life until cancelled, while this loop runs and ``is_well``; systemd does the rest.

        Returns at once where none are wanted.
        """
        while self.watchdog_interval:
            if is_well():
                self.alive()
            await asyncio.sleep(self.watchdog_interval)

    def _status(self, text: str) -> tuple[str, ...]:
        line = " ".join(text.split())[:_LONGEST_STATUS]
        if not line or line == self._last_status:
            return ()
        self._last_status = line
        return (f"STATUS={line}",)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A socket each time: the manager may have made a new one since, and this is a few calls a minute.
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.setblocking(False)  # noqa: FBT003 -- the standard library's signature
            channel.sendto("\n".join(lines).encode(errors="surrogateescape"), os.fsencode(self._address))
