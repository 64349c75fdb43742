"""The systems under comparison, each as its documentation shows it, with a job that does nothing.

Each module has `hand_in(numbers)`, which hands in a job for each number, and a worker that marks
the tally when such a job starts. Durability is what the documentation recommends.
"""
