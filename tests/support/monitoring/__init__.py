"""A real Prometheus with the shipped rules, in which minutes are seconds."""
