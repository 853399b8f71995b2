"""Objects copied inside a store that takes so many requests a second and answers 503 SlowDown above.

The store is nginx, which says yes to every copy that its limit lets through: a token bucket (``limit_req``) a
tenth of a second deep, for all requests together. S3 documents its limits per second and lets shorter bursts
pass; a tenth of one is less than it allows. nginx counts in thousandths of a request by the millisecond, so
the limit holds on average over any stretch that is longer than the bucket is deep.

What is compared is read from nginx's log: once the first ``SETTLING`` seconds have passed, how much of the
limit is used and which share of the requests is refused; in the end, how many objects were never copied.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import canned, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, Usage, WorkNotDoneError
from benchmarks.servers import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Requests a second that the store takes.
LIMITS = (50, 500, 3_500)
#: Seconds from the first request in which a program may look for the limit.
SETTLING = 5.0
#: Seconds after those that are looked at.
WINDOW = 10.0
#: Seconds that the whole work takes at the limit: enough for the end of it to lie beyond the window.
_WORK = 18
_QUICK_WORK = 2
#: Seconds of the limit that the token bucket holds.
_BURST = 0.1
_BUCKET = "throttled"
_SLOW_DOWN = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    "<Message>Please reduce your request rate.</Message></Error>"
)
_COPIED = (
    '<?xml version="1.0" encoding="UTF-8"?><CopyObjectResult>'
    "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;9b2cf535f27731c974343645a3985328&quot;</ETag></CopyObjectResult>"
)
_SETTINGS = """
  limit_req_zone $server_addr zone=store:1m rate={limit}r/s;
  log_format taken '$msec $status $request';
"""
# A plain file answers the PUTs, which nginx by itself does not take; "return" would come before the limit.
_LOCATIONS = """
    limit_req zone=store burst={burst} nodelay;
    limit_req_status 503;
    limit_req_log_level info;
    access_log {log} taken;
    error_page 503 @slow;
    location @slow {{ default_type application/xml; return 503 '{slow}'; }}
    location = /copied.xml {{ internal; default_type application/xml; }}
    location / {{ error_page 405 =200 /copied.xml; }}
"""


class _Answer(NamedTuple):
    """A line of the log: seconds since the epoch, whether the store took the request, and copied with it."""

    at: float
    accepted: bool
    copied: bool


class _Log:
    """What nginx wrote down of the trial that runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def begin(self, _trial: str) -> None:
        """Leave what was written before this trial behind."""
        self._read = self._path.stat().st_size

    def answers(self) -> list[_Answer]:
        """Return the answers of the trial in the order of time."""
        with self._path.open() as file:
            file.seek(self._read)
            lines = [line.split(" ") for line in file]
        return sorted(
            _Answer(float(at), status != "503", status == "200" and method == "PUT")
            for at, status, method, *_ in lines
        )


def observe(answers: Sequence[_Answer], limit: int, objects: int, usage: Usage) -> Usage:
    """Add to a usage what the log says: see `Usage`.

    Who ends before the program could settle is judged by its last ten seconds.
    """
    if not answers:
        raise WorkNotDoneError("no request arrived")
    since = min(answers[0].at + SETTLING, max(answers[0].at, answers[-1].at - WINDOW))
    until = min(since + WINDOW, answers[-1].at)
    settled = [answer.accepted for answer in answers if since <= answer.at < until]
    used = sum(settled) / max(until - since, 0.001) / limit
    copied = sum(answer.copied for answer in answers)
    return usage._replace(
        unused=max(0.0, 1.0 - used),
        refused=settled.count(False) / max(1, len(settled)),
        lost=max(0.0, 1.0 - copied / objects),
    )


@contextmanager
def _open(bench: Bench, limit: int) -> Iterator[Contest]:
    root, log = bench.scratch / "root", bench.scratch / "requests.log"
    objects = limit * (_WORK if bench.scale.keys > canned.PAGE * 10 else _QUICK_WORK)
    canned.write_pages(root, _BUCKET, objects)
    (root / "copied.xml").write_text(_COPIED)
    serving = nginx(
        tools.required("nginx"),
        root,
        maps=canned.MAPS + _SETTINGS.format(limit=limit),
        locations=_LOCATIONS.format(burst=round(limit * _BURST), log=log, slow=_SLOW_DOWN)
        + canned.locations({_BUCKET: _BUCKET}),
    )
    everything, copies = f"s3://{_BUCKET}/", f"s3://{_BUCKET}/copies/"
    # It ends with another status than 0 once it has given up on an object; that is counted.
    s5cmd = f"{shlex.join(tools.s5cmd('cp', f'{everything}*', copies))} >/dev/null 2>&1; true"
    records = _Log(log)
    with serving as endpoint:
        yield Contest(
            (
                Contestant("haul", lambda _: tools.haul("cp", everything, copies), warmed=False),
                Contestant("s5cmd", lambda _: ["/bin/sh", "-c", s5cmd], warmed=False),
                Contestant(
                    "boto3",
                    lambda _: tools.peer("boto3", "copy", _BUCKET, "", "copies/"),
                    warmed=False,
                ),
            ),
            tools.environment(endpoint, bench.scratch),
            verify=lambda _trial, _output, _first: None,
            prepare=records.begin,
            observe=lambda usage: observe(records.answers(), limit, objects, usage),
        )


ROWS = [
    Comparison(
        name=f"throttled_{limit}",
        title=f"Copies in a store that takes {limit:,} requests a second (nginx)",
        bars=(Bar("unused", 0.15), Bar("refused", 0.05), Bar("lost", 0.0)),
        open=partial(_open, limit=limit),
        needs=("nginx",),
        most_rounds=3,
    )
    for limit in LIMITS
]
