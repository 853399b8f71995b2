"""Records out of objects into an HTTP API, at an exact rate, each accounted for.

`formats` turns bytes into rows, `reading` streams objects as blocks of them, `pacer` and `sending` make calls,
`ledger` keeps what happened durably, `run` leads a job through all that, and `AsyncProcessor` and `Processor`
are its face.
"""
