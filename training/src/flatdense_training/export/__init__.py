"""A trained network as one more version in the model folder."""
