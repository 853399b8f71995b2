"""The layers of the pipeline, each of them a Send around a Send, stacked by `haulyard.stores.assemble`."""
