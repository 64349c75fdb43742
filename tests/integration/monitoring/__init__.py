"""The files of outbox/monitoring, in the hands of the programs that they are for."""
