"""`make compare`: the same side effect in several systems, and what becomes of it.

A shop takes orders, and another service gives each a receipt, by HTTP. Each system is asked the
same questions on real processes: what if it is killed, hangs, fails? The table shows what was seen.

Reading order: systems (the apps), contenders, outside, stage, questions, person, run, report.
"""
