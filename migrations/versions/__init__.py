"""The revisions, in order of their numbers. Most only upgrade the library's own tables."""
