"""Webhook endpoints over HTTP: addresses that receive events. Read routes."""
