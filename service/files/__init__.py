"""Files: large data in the document store, for jobs that carry a reference to it.

Read kinds, models, keeping, then references, which says what needs a file. upload, routes and
schemas are the HTTP API. actors/files.py deletes what nothing needs any more.
"""
