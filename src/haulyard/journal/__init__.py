"""Durable jobs of any kind: their folders, shards that hold plan and journal, locks, and who runs them."""
