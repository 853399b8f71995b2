"""``watched_spool.py arriving|idle HAUL DIRECTORY URL``: a `haul ship --watch`, and what it takes.

``arriving`` renames 500 files into place, 50 a second, and measures until each is said to be in the store.
``idle`` has 100,000 files that are still being written, and measures the CPU time of a quiet minute.
Ends with 1 where a bar is missed; prints what was measured.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time

FILES, PER_SECOND = 500, 50
KEPT, QUIET = 100_000, 60.0
MEDIAN, P99, SHARE = 0.2, 1.0, 0.01


def main() -> int:
    """Run what was asked for."""
    kind, haul, directory, url = sys.argv[1:]
    os.makedirs(directory)
    return {"arriving": arriving, "idle": idle}[kind](haul, directory, url)


def watching(haul: str, directory: str, url: str, *flags: str) -> subprocess.Popen[str]:
    """Start the shipper of ``directory``; its events are lines of JSON."""
    command = [haul, "ship", directory, "--to", url, "--watch", "--settle", "0", "--json", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def arriving(haul: str, directory: str, url: str) -> int:
    """Rename files into place, and measure."""
    begun: dict[str, float] = {}
    took: list[float] = []
    everything = threading.Event()
    with watching(haul, directory, url, "--after", "delete") as shipper:

        def listen() -> None:
            for line in shipper.stdout or ():
                event = json.loads(line)
                if event.get("event") == "shipped":
                    took.append(time.monotonic() - begun[os.path.basename(event["path"])])
                    if len(took) == FILES:
                        everything.set()

        listener = threading.Thread(target=listen)
        listener.start()
        warm_up(directory, begun, took)
        started = time.monotonic()
        for number in range(1, FILES):
            time.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))
            put(directory, f"20250729_{number:06}.xml", begun)
        everything.wait(30)
        shipper.send_signal(signal.SIGTERM)
        listener.join()
    took = sorted(took[1:])
    median, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    print(f"{len(took)} files, median {median:.3f} s, p99 {p99:.3f} s")
    return int(len(took) < FILES - 1 or median > MEDIAN or p99 > P99)


def warm_up(directory: str, begun: dict[str, float], took: list[float]) -> None:
    """Have one file shipped first, so that connections and code are there."""
    put(directory, "20250101_000000.xml", begun)
    while not took:
        time.sleep(0.05)


def put(directory: str, name: str, begun: dict[str, float]) -> None:
    """Write a file out of sight and rename it into place, as a writer that rotates does."""
    hidden = os.path.join(directory, f".{name}")
    with open(hidden, "wb") as file:
        file.write(b"<events/>" * 400)
    begun[name] = time.monotonic()
    os.rename(hidden, os.path.join(directory, name))


def idle(haul: str, directory: str, url: str) -> int:
    """Have it watch a directory in which nothing happens."""
    for number in range(KEPT):
        with open(os.path.join(directory, f"kept-{number:06}.active"), "wb"):
            pass
    with watching(haul, directory, url) as shipper:
        # It has begun once it has seen a file of its own.
        put(directory, "20250101_000000.xml", {})
        (shipper.stdout or sys.stdin).readline()
        before = cpu_of(shipper.pid)
        time.sleep(QUIET)
        share = (cpu_of(shipper.pid) - before) / QUIET
        shipper.send_signal(signal.SIGTERM)
        shipper.communicate()
    print(f"{share:.2%} of a core, {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MiB")
    return int(share > SHARE)


def cpu_of(pid: int) -> float:
    """CPU seconds that a process has taken, its own and the kernel's for it."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
