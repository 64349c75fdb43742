"""The apps: an order is placed by POST, and a receipt for it is asked of another service.

docs/when-to-use-what.md shows these files. Each is as the system's own documentation has it.
`/orders` sends the task where the system wants that: after the commit, or in the transaction.
`/orders/checked` finds after the task was sent that the order cannot be taken.
"""
