"""Carrying a plan out: copy, verify, write it down, delete, write that down, object by object.

`haulyard.jobs.applying.running` runs a whole job, `slices` one shard of it, `copying` and `removing` do what
is done with one object. What is in doubt after a crash is asked of the store.
"""
