"""Webhook endpoints: addresses that receive events.

Read subject, kinds, models, then routes and schemas.
"""
