"""gRPC: the services, and the table that turns domain errors into statuses.

The only folder that imports grpc.
"""
