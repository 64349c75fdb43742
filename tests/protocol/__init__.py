"""The steps of a job's life against an adversary: any order, any crash, any number at once."""
