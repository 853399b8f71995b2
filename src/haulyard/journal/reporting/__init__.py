"""What a job came to, for people and programs: a page, a summary and a completion report.

All of it is numbers and words; what they mean for a kind of job is said by the room that runs it.
"""
