"""A thousand files by one call of a provider, and a large one as a stream in constant memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from benchmarks import inputs, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.fsspec_peers import require_number
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_COUNT = 1_000
_SIZE = 16 * 1024
#: Of the whole process. Python with what it loads here takes half of it.
_STREAM_RSS = 120 * 10**6


def _contestants(*arguments: str, prefix: Callable[[str], str]) -> tuple[Contestant, ...]:
    verb, *rest = arguments

    def command(program: Callable[..., list[str]]) -> Callable[[str], list[str]]:
        return lambda trial: program(verb, stored.BUCKET, prefix(trial), *rest)

    return (
        Contestant("haul", command(lambda *given: tools.peer("provider", *given))),
        Contestant("chuk-virtual-fs", command(tools.chuk), warmed=False),
    )


def _batch(verb: Literal["write", "read"]) -> Callable[[Bench], AbstractContextManager[Contest]]:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Contest]:
        count, size = min(_COUNT, bench.scale.files), _SIZE
        with seaweedfs(bench.scratch) as endpoint:
            environ = tools.environment(endpoint, bench.scratch)
            stored.make_bucket(environ)
            numbers = (str(count), str(size))
            if verb == "read":
                tools.prepare(tools.peer("provider", "write", stored.BUCKET, "read", *numbers), environ)
            yield Contest(
                _contestants(verb, *numbers, prefix=lambda trial: trial if verb == "write" else "read"),
                environ,
                verify=lambda _trial, output, _first: require_number(output, count),
            )

    return opened


@contextmanager
def _stream(bench: Bench) -> Iterator[Contest]:
    large = bench.scratch / "large"
    inputs.large_file(large, bench.scale.large)
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        tools.prepare(tools.haul("cp", str(large), f"{stored.url('stream')}large"), environ)
        large.unlink()
        yield Contest(
            _contestants("stream", "large", prefix=lambda _trial: "stream"),
            environ,
            verify=lambda _trial, output, _first: require_number(output, bench.scale.large),
        )


ROWS = (
    Comparison(
        name="fs_batch_write",
        title="1,000 files of 16 KiB by one batch_write",
        bars=(Bar("wall", 0.15, "chuk-virtual-fs"),),
        open=_batch("write"),
        needs=(tools.CHUK_PYTHON,),
        most_rounds=3,
    ),
    Comparison(
        name="fs_batch_read",
        title="1,000 files of 16 KiB by one batch_read",
        bars=(Bar("wall", 0.15, "chuk-virtual-fs"),),
        open=_batch("read"),
        needs=(tools.CHUK_PYTHON,),
        most_rounds=3,
    ),
    Comparison(
        name="fs_stream",
        title="{large} read by stream_read",
        bars=(Bar("rss", _STREAM_RSS),),
        open=_stream,
        needs=(tools.CHUK_PYTHON,),
        most_rounds=3,
    ),
)
