"""The servers of the comparisons: the embedded store, and nginx for pure downloads and listings."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from haulyard.local.embedded import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds that nginx is given to listen.
STARTUP = 10.0

_NGINX = """
daemon off;
worker_processes 2;
pid {run}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {run}/body; proxy_temp_path {run}/proxy; fastcgi_temp_path {run}/fastcgi;
  uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
  access_log off;
  sendfile on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
{maps}
  server {{
    listen 127.0.0.1:{port};
    root {root};
{locations}
  }}
}}
"""


class Endpoint(NamedTuple):
    """Where a server is and how one signs for it."""

    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    rclone_provider: str = "Other"


@contextmanager
def seaweedfs(scratch: Path) -> Iterator[Endpoint]:
    """Run the embedded store with an empty data directory in ``scratch``, which is gone afterwards."""
    directory = tempfile.mkdtemp(prefix="store-", dir=scratch)
    try:
        with EmbeddedStore(directory) as store:
            found = store.environment()
            yield Endpoint(
                found["AWS_ENDPOINT_URL_S3"],
                found["AWS_ACCESS_KEY_ID"],
                found["AWS_SECRET_ACCESS_KEY"],
                found["AWS_REGION"],
                rclone_provider="SeaweedFS",
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def nginx(program: str, root: Path, *, maps: str = "", locations: str = "") -> Iterator[Endpoint]:
    """Run nginx over ``root``: a file ``root/bucket/key`` is the object ``key`` of that bucket.

    nginx gives ETag, Last-Modified, ranges and conditions as S3 does and looks at no signature. ``maps`` and
    ``locations`` are put into its configuration.
    """
    buckets = "\n".join(
        f'    location = /{each.name} {{ return 200 ""; }}' for each in root.iterdir() if each.is_dir()
    )
    run = root.parent / f"{root.name}-nginx"
    run.mkdir()
    port = _free_port()
    configuration = run / "nginx.conf"
    # A root's workers would otherwise be somebody else, who may not read a directory of ours.
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    text = _NGINX.format(run=run, user=user, port=port, root=root, maps=maps, locations=locations or buckets)
    configuration.write_text(text)
    process = subprocess.Popen([program, "-p", str(run), "-e", "stderr", "-c", str(configuration)])
    try:
        _wait_until_listening(port, process)
        yield Endpoint(f"http://127.0.0.1:{port}", "benchmark", "benchmark")
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTUP
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("nginx did not start")
