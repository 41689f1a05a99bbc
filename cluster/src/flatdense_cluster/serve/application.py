"""The application that `serve run` and `serve deploy` start; deploy/ray/flatdense.yaml names it."""

from ray import serve
from ray.serve import Application

from flatdense_cluster.serve.meter import Meter
from flatdense_cluster.serve.replica import Replica


def build(options: dict[str, str]) -> Application:
    """Replicas that each hold a flatdense-server with these settings, such as `model_dir`.

    How many there are, what each may use and when there are more is Serve's: its configuration file
    says so of the deployment `Replica`.
    """
    meter = serve.deployment(Meter).options(ray_actor_options={"num_cpus": 0}).bind()
    return serve.deployment(Replica).bind(options, meter)
