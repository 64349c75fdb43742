"""The apps under test: Duly's, and what a FastAPI team would take in its place.

Each handler is written as the system's own documentation shows it, with the strongest settings
that it knows. All share the shop, its number of attempts and the pauses between them.
"""
