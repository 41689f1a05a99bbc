"""Requests as traces, and what the log and they have in common."""
