"""A first process that is going to be killed: it starts two workers that wait, and says so."""

from __future__ import annotations

import asyncio
import sys

from haulyard.journal.executors.processes import Crew


async def main(pipes: list[str]) -> None:
    """Run workers that wait until they are asked to stop."""

    def hear(message: object) -> None:
        print(message, flush=True)  # noqa: T201 -- the test reads it

    await Crew("tests.journal.executors.deeds:wait", list(pipes), hear).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
