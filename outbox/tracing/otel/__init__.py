"""The tracer that makes OpenTelemetry's spans, and what it needs from the environment.

Reading order: environment, sampler, propagation, provider; contexts, attributes, unsampled, spans.
"""
