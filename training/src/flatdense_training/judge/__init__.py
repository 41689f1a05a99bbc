"""How good a network is on images that it did not learn from."""
