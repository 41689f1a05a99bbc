"""The versions of the model: how one comes to be served, and which one a request means."""
