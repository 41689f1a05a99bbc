"""The same services as a server, by Ray Serve."""
