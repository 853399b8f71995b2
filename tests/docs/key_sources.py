"""What gives out keys on AWS, on the loopback interface: metadata of an instance, of a container, SSO."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "ASIAEXAMPLEEXAMPLE"
_IN = timedelta(hours=6)


def end() -> str:
    """Return when the keys end."""
    return (datetime.now(UTC) + _IN).strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer(path: str) -> str:
    if path == "/latest/api/token":
        return "token"
    if path == "/latest/meta-data/iam/security-credentials/":
        return "loader"
    if path.startswith("/federation/credentials"):
        milliseconds = (datetime.now(UTC) + _IN).timestamp() * 1000
        keys = {
            "accessKeyId": ACCESS_KEY,
            "secretAccessKey": "secret",
            "sessionToken": "token",
            "expiration": int(milliseconds),
        }
        return json.dumps({"roleCredentials": keys})
    return json.dumps(
        {
            "Code": "Success",
            "AccessKeyId": ACCESS_KEY,
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": end(),
        }
    )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = _answer(self.path).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET  # noqa: N815 -- the library's name

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- likewise
        """Say nothing."""


@contextmanager
def key_sources() -> Iterator[str]:
    """Run all of them, and yield their URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
