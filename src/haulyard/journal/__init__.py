"""Durable jobs of any kind: their folders, shards that hold plan and journal, locks, and who runs them.

`folder` has a job's directory and its documents, `building` how a shard is made and what it looks like on the
disk, `shard` how one is read and worked on; the other modules serve these.
"""
