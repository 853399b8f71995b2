"""Where job folders must not lie: on a network filesystem.

SQLite's WAL shares memory between processes, and flock is not kept everywhere; both need one machine. See
https://www.sqlite.org/wal.html, "all processes using a database must be on the same host computer".
"""

from __future__ import annotations

import os
import re

from haulyard.errors import ConfigError

_NETWORK = {
    "9p",
    "afs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse.ceph",
    "fuse.gcsfuse",
    "fuse.geesefs",
    "fuse.glusterfs",
    "fuse.goofys",
    "fuse.juicefs",
    "fuse.mount-s3",
    "fuse.mountpoint-s3",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.seaweedfs",
    "fuse.sshfs",
    "fuse.weed",
    "gfs2",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "smb3",
    "smbfs",
}
_ESCAPED = re.compile(r"\\([0-7]{3})")


def refuse_network_filesystem(path: str, *, mounts: str = "/proc/self/mountinfo") -> None:
    """Refuse a directory of jobs, which need not exist yet, on a network filesystem.

    Where the system does not list its mounts (no Linux), nothing is refused.

    Raises:
        ConfigError: It is on one; the message names its kind.
    """
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    kind = _kind(os.path.realpath(path), lines)
    if kind in _NETWORK:
        raise ConfigError(
            f"jobs cannot be kept in {path}: it is on a network filesystem ({kind})",
            hint="set HAUL_JOB_DIR to a directory on a local disk",
        )


def _kind(path: str, lines: list[str]) -> str:
    """Return the type of the filesystem that holds ``path``; lines as proc_pid_mountinfo(5) has them."""
    best, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mount = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields.split(" ")[4])
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        # Of several mounts on one point the last one is seen.
        if inside and len(mount) >= len(best):
            best, kind = mount, rest.split(" ")[0]
    return kind
