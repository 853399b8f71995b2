"""Records out of objects into an HTTP API, at an exact rate, each accounted for.

`formats` turns bytes into rows, `reading` and `reading_ahead` stream objects as blocks of them, `intake` and
`calls` make calls, `pacer`, `target` and `delivery` bring them to their end, `books` and `ledger` keep what
happened, durably. `processing` leads a job through all that, `AsyncProcessor` and `Processor` are its face.
"""
