"""Telling others: webhooks that are asked before a move and told after it, and notifications for people."""
