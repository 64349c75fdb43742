"""The tracer that makes OpenTelemetry's spans, and what it needs from the environment.

Reading order: environment, sampler, provider; contexts, attributes, unsampled, spans.
"""
