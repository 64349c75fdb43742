"""How fast Duly is beside its peers: side by side, alternating, in one run."""
