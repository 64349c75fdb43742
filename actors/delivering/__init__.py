"""A webhook's delivery: what is sent, how an attempt ended, and what is put on record of it.

Read message, attempt, then record and switch_off.
"""
