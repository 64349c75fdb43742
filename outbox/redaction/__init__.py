"""Hides sensitive values from what people see: payloads, results, headers and error texts.

Reading order: fields, scrub, encodings.
"""
