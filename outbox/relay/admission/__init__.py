"""Admission: which of the due jobs that have keys may be published now.

Read fair_shares.
"""
