"""What callers get: plain values, which never change."""
