"""Traces: what the engine tells of a job's way, and OpenTelemetry, which makes spans of it.

The engine knows only `tracer`, which is a few Protocols. `otel/` implements them, and `start` puts
it in place, if a process is to trace: nothing else imports OpenTelemetry.
"""
