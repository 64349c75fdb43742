"""`make chaos`: thousands of jobs while everything breaks, counted by a witness of its own.

Reading order: orders (what clients ask for), shop (the effects), systems/ (Duly and the others,
each with the same shop), stage (servers and processes), faults, plan, clients, witness, verdict,
storm (one run), report.
"""
