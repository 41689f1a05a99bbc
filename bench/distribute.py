"""Two workers against one process, on MNIST: `python bench/distribute.py MNIST`.

The argument is a folder with MNIST's IDX files. The preset `quick` for several seeds, by one
process and by two workers of `--distribute` on this machine: how right the model is, how many test
images both models of a seed answer alike, and how long the fitting took. Writes
bench/results/distribute.json, and the table of docs/training.md.
"""

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from flatdense_artifact import read_manifest, read_weights
from flatdense_training.data.datasets import MNIST
from flatdense_training.data.folder import read_folder
from flatdense_training.data.idx import UInt8
from flatdense_training.data.split import split
from machine import describe_machine
from report import DISTRIBUTE, DISTRIBUTE_SECTION, TRAINING_PAGE, publish, render_distribute

SEEDS = range(3)
WAYS = {"one process": 1, "two workers": 2}
COMMAND = Path(sys.executable).with_name("flatdense-train")


def main(mnist: Path) -> None:
    """Measures, writes, prints."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    alike: list[float] = []
    test = split(MNIST, read_folder(MNIST, mnist), seed=0).test.images
    for seed in SEEDS:
        answers = []
        for name, workers in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                runs[name].append(run(mnist, Path(folder), workers, seed))
                answers.append(answer(Path(folder, "models", "1"), test))
        alike.append(float(np.mean(answers[0] == answers[1])))
    results = {"machine": describe_machine(), "runs": runs, "alike": alike}
    section = render_distribute(results)
    publish(results, DISTRIBUTE, TRAINING_PAGE, section, DISTRIBUTE_SECTION)
    print(section)


def run(mnist: Path, folder: Path, workers: int, seed: int) -> dict[str, float]:
    """Trains by so many workers; the first one exports to `models`."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(workers)]
    command = [
        *(COMMAND, f"--data-dir={mnist}", "--preset=quick", f"--seed={seed}", "--compile=no"),
        f"--model-dir={folder / 'models'}",
    ]
    processes = []
    for number in range(workers):
        own = [f"--cache-dir={folder / str(number)}"]
        if workers > 1:
            task = {"type": "worker", "index": number}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            own += ["--distribute", f"--tf-config={config}"]
        processes.append(
            subprocess.Popen([*command, *own], stdout=subprocess.PIPE, text=True)  # noqa: S603
        )
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("\n".join(said))
    return describe_run(said[0], folder / "models" / "1")


def answer(version: Path, images: UInt8) -> npt.NDArray[np.int64]:
    """The classes of images, by the weights of a version."""
    weights = read_weights(version, ["hidden", "output"])
    hidden, output = weights.hidden, weights.output
    rows = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    activations = np.maximum(rows @ hidden.kernel + hidden.bias, 0)
    classes: npt.NDArray[np.int64] = (activations @ output.kernel + output.bias).argmax(axis=1)
    return classes


def describe_run(said: str, version: Path) -> dict[str, Any]:
    """What the chief said and exported."""
    fitted = re.search(r"([\d.]+) s, of which", said)
    metrics = read_manifest(version).metrics
    if fitted is None or metrics is None:
        raise ValueError(said)
    return {"fitting_s": float(fitted[1]), "test_accuracy": metrics.test_accuracy}


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("mnist", type=Path, help="the folder of MNIST's IDX files")
    main(arguments.parse_args().mnist)
