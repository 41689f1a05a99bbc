"""The network compiled ahead of time: from an architecture to a library in the cache."""
