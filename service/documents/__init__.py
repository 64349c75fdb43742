"""The document store: files by name, in a local folder or an S3 bucket, encrypted if keys are set.

Read store, then reading, encryption and keys. url checks the store's address as a process starts.
"""
