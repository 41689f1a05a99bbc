"""Nothing is compiled once the server is ready."""

import urllib.request
from pathlib import Path

import numpy as np
from flatdense_client import Client
from server_process import ServerProcess


def test_no_batch_size_is_compiled_while_serving(exported_model: Path, tmp_path: Path) -> None:
    """Batches of 1 to 300 rows of both types add nothing to XLA's dumps or the server's counter."""
    dumped = tmp_path / "xla"
    flags = {"XLA_FLAGS": f"--xla_dump_to={dumped} --xla_dump_hlo_as_text"}
    options = ("--model-dir", str(exported_model), "--engine", "jit", "--max-batch-rows", "256")
    options += ("--workers", "1")
    pixels = np.zeros((300, 784), np.uint8)
    with ServerProcess(*options, variables=flags) as server, Client(server.address) as client:
        server.ready()
        before = compiled_modules(dumped)
        for rows in range(1, 301):
            assert len(client.classify(pixels[:rows])) == rows
            assert len(client.classify(pixels[:rows].astype(np.float32))) == rows
        assert compiled_modules(dumped) == before
        assert len(before) >= 2 * 9  # both types at 1, 2, 4, ... 256
        assert compilations(server) == {"warmup": 18.0, "serving": 0.0}


def compiled_modules(folder: Path) -> set[str]:
    """The modules that XLA compiled so far, by the names of its dumps."""
    return {path.name.split(".")[0] for path in folder.iterdir() if "module_" in path.name}


def compilations(server: ServerProcess) -> dict[str, float]:
    """flatdense_xla_compilations_total by phase."""
    with urllib.request.urlopen(server.page + "metrics") as answer:
        lines = answer.read().decode().splitlines()
    samples = [line for line in lines if line.startswith("flatdense_xla_compilations_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in samples}
