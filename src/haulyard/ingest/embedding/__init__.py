"""A column of vectors beside one of texts, made by an OpenAI-compatible endpoint through a records job.

`texts` writes the distinct texts of a staged table into a job's folder, `endpoint` sends them in batches and
`answers` reads what comes back, `vectors` joins that to the rows. `job` leads through all that.
"""
