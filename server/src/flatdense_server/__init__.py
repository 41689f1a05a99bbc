"""A gRPC server for one small classifier."""
