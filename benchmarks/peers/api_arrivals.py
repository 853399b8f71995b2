"""What the log of the scripted API says of one run: ``api_arrivals.py LOG RATE``, told as JSON.

A program of its own, for the log is large and the bench has to stay small (see `benchmarks.harness`).
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise

from haulyard.testing.api import read_log, windows


def main(log: str, rate: float) -> dict[str, float]:
    """Return the number of calls and of refused ones, their span in seconds, the fullest second, the jitter.

    Jitter is the 99th percentile of how far the time between two calls is from 1/``rate``.
    """
    calls = read_log(log)
    times = sorted(call.time for call in calls)
    off = sorted(abs(after - before - 1 / rate) for before, after in pairwise(times))
    return {
        "calls": len(calls),
        "refused": sum(not call.delivered for call in calls),
        "records": len({call.key for call in calls if call.delivered}),
        "span": times[-1] - times[0] if times else 0.0,
        "fullest": windows(times, 1.0),
        "jitter": off[len(off) * 99 // 100] if off else 0.0,
    }


if __name__ == "__main__":
    json.dump(main(sys.argv[1], float(sys.argv[2])), sys.stdout)
