"""How many jobs each queue has in which state, at a cost that does not grow with them.

Counts are exact up to a bound. What exceeds it is estimated, and said to be an estimate.
"""
