"""An HTTP API that fails exactly as told, and remembers every call: for those who test what they send to one.

`ApiServer` listens on a free port of the loopback interface and answers every call with 200 and
`{"status":"ok"}`, as fast as a bare protocol can (more than 30,000 a second on uvloop). A `Rule` names the
calls that it hits and what happens to them; of several the first that hits counts:

```python
from haulyard.testing.api import ApiServer, Rule

with ApiServer(Rule(429, retry_after=1, times=1), Rule(422, contains='"poison"'), limit=(100, 1.0)) as api:
    send_everything(api.url + "/records")
    assert all(call.delivered for call in api.calls if b"poison" not in call.body)
    assert api.violations == 0  # nobody called more than 100 times in any sliding second
```

What APIs do, in rules: 500s in bursts are `Rule(500, where=lambda call: call.number % 1000 < 50)`, a timeout
`Rule(hang=True)`, a slow answer `Rule(delay=2.0)`, a 200 with an error body `Rule(body='{"error":"no"}')`, an
answer that breaks off `Rule(half=True)`. `die` and `come_back` are an outage.

`with` runs it in a thread with an event loop of its own, `async with` in the caller's loop. `ApiProcess` runs
it as a process of its own that writes its log into a file, which outlives everybody; so does

    python -m haulyard.testing.api --port 8080 --log calls.jsonl --limit 5000/1 --rule '{"status": 500}'

which prints its URL once it listens.
"""

from __future__ import annotations

from haulyard.testing._api_process import ApiProcess, main
from haulyard.testing._api_script import Call, Rule, read_log, windows
from haulyard.testing._api_server import ApiServer

__all__ = ["ApiProcess", "ApiServer", "Call", "Rule", "read_log", "windows"]

if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
