"""`make chaos`: thousands of jobs while everything breaks, counted by a witness of its own.

Reading order: orders (what clients ask for), terms and shop (what all systems share), systems/
(Duly's app and the others'), contenders, stage (their servers and processes), faults, plan,
clients, person, witness, remains, batches, cancels, steps and ticks (what is wrong with such),
verdict, storm (one run), report.
"""
