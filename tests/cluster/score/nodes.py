"""A Ray cluster of two nodes on this machine, as a program: it runs until its input ends.

A process of its own, so that the tests' own process neither is a part of it nor keeps its pipes.
"""

import sys

from flatdense_cluster.score.ray_session import OBJECT_STORE_BYTES, quieten_backend

if __name__ == "__main__":
    quieten_backend()
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES}
    nodes = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    nodes.add_node(**options)
    print(nodes.address, flush=True)  # noqa: T201 -- what the tests wait for
    sys.stdin.read()
    nodes.shutdown()
