"""Runs the network on rows. Knows no request, no queue, no transport."""
