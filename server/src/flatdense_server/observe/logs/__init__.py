"""Events and requests as lines."""
