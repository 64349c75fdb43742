"""The management command `duly`."""
