"""What can be wrong with what somebody asks of a cluster."""


class ClusterError(Exception):
    """Something that the caller or the operator can put right; the message says how."""
