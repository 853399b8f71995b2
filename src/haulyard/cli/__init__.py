"""The command ``haul``: one file for each verb, on a frame that imports little."""
