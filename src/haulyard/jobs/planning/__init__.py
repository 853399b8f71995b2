"""Planning a bulk job: listing, rules, rows, shards, and then what stands in the way of one another."""
