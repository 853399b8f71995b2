"""Files of S3 as tables: found, fetched ahead of the parser, typed over all files, loaded in one transaction.

`model` has the values that go between the modules; `dataset` is where the rest is put together.
"""
