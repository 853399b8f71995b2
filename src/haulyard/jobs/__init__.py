"""Bulk jobs: any number of objects moved and reorganised by rules, planned, applied, undone, reported."""
