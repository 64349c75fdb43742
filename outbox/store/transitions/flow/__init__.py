"""What holds jobs back until their keys let them through."""
