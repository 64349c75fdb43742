"""The other duties of the relay process: collect dead letters, rescue jobs, delete old rows.

Read dead_letter_collector, dead_letter_consumers, dead_letter_consumer, rescuer, failure_detector,
upkeep, outages. Old rows are deleted by pruning/.
"""
