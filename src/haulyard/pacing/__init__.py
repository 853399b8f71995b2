"""When to send: backoff, retry budget, adaptive and exact rates, bandwidth.

Nothing here waits, looks at a clock or draws a random number: the time (seconds of a monotonic
clock unless stated otherwise) and the randomness are passed in, and what comes back is how long to
wait or when to go. One object belongs to one event loop; none of them takes a lock.

- `haulyard.pacing.backoff`: the delay before a retry, and what `Retry-After` asks for.
- `haulyard.pacing.budget`: how many retries a job may spend, how long one request may be throttled.
- `haulyard.pacing.aimd`: requests a second that follow a store's throttling.
- `haulyard.pacing.exact`: a known limit per period that is never passed where calls are sent.
- `haulyard.pacing.window`: one that is never passed where calls arrive; `recovery`: what refusals cost it.
- `haulyard.pacing.concurrency`: how many calls are in flight, by their latency.
- `haulyard.pacing.bandwidth`: bytes a second.
"""
