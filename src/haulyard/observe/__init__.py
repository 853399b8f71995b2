"""Subscribers of events: what they show, count and write down."""
