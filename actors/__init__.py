"""The work of this service, one file per subject."""
