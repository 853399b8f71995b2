"""The embedded store: SeaweedFS on loopback, for trying, testing and demonstrating."""
