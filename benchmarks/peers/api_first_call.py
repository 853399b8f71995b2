"""Run a command until it makes its first call: ``api_first_call.py PORT LOG COMMAND…``.

An API of its own listens on PORT. The first call ends the command, killed as in a crash, and this script,
which prints the beginning of its body; what the command wrote is in LOG. A command that ends without a call
is a failure.
"""

from __future__ import annotations

import asyncio
import sys
from typing import BinaryIO, Final

from haulyard.testing.api import ApiServer, Rule

#: Bytes of the body that are printed.
_TOLD: Final = 80


async def _first_call(port: int, output: BinaryIO, command: list[str]) -> bytes | None:
    """Run the command until its first call; return its body, None if there was none."""
    async with ApiServer(Rule(hang=True), port=port) as api:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
        arrival = asyncio.create_task(api.wait_for_async(timeout=60.0))
        ending = asyncio.create_task(process.wait())
        await asyncio.wait((arrival, ending), return_when=asyncio.FIRST_COMPLETED)
        called = arrival.done() and arrival.exception() is None
        body = arrival.result().body if called else None
        if not ending.done():
            process.kill()
            await ending
        arrival.cancel()
        return body


def main(port: int, log: str, command: list[str]) -> int:
    """Return 0 if the command called."""
    with open(log, "w+b") as output:
        if (body := asyncio.run(_first_call(port, output, command))) is not None:
            print(body[:_TOLD].decode(errors="replace"))
            return 0
        output.seek(0)
        sys.stderr.write(output.read().decode(errors="replace")[-1_000:])
        return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
