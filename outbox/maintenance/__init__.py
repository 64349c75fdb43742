"""The other duties of the relay process: collect dead letters, rescue jobs, delete old rows.

Read dead_letter_collector, dead_letter_consumers, dead_letter_consumer, rescuer, failure_detector,
pruner, upkeep, outages.
"""
