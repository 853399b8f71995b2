"""Bytes into rows, without I/O: what an object is, where its records end, and each as one JSON value.

`detection` tells formats, `compression` inflates, `encoding` makes UTF-8. `cutting` finds the ends of records
that are lines, and the blocks they form. `delimited`, `json_lines` and `json_values` make rows of text;
`parquet` does so of Parquet, with `arrow_json`.
"""
