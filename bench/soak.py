"""A soak: every abuse of abuse.py again and again beside a caller that checks its answers.

Prints the server's memory and file descriptors as it goes, and ends with an error where a good
call fails or gets another answer, or where they grow. Ten minutes by default.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

import numpy as np
from abuse import ABUSES
from flatdense_client import Client
from footprint import ONE_ARENA, Footprint, footprint

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

REPORTS = 10
MOST_GROWTH_MB = 10.0
MOST_NEW_DESCRIPTORS = 5


class GoodCaller(threading.Thread):
    """Calls without a pause, and compares each answer with the first."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._ending = threading.Event()
        self.calls = 0
        self.failure = ""

    def run(self) -> None:
        """Until it is told to end, or a call fails."""
        images = np.random.default_rng(5).integers(0, 256, (7, 28, 28), dtype=np.uint8)
        try:
            with Client(self._address) as client:
                expected = client.classify(images).probabilities
                is_last = False
                while not is_last and not self.failure:
                    is_last = self._ending.is_set()
                    got = client.classify(images).probabilities
                    self.calls += 1
                    if not np.allclose(got, expected, rtol=0, atol=1e-5):
                        self.failure = "another answer than before"
        except Exception as error:  # noqa: BLE001 -- whatever it is, the soak has failed
            self.failure = repr(error)

    def end(self) -> None:
        """One call more, to see that the server goes on, and no other."""
        self._ending.set()
        self.join()


def soak(minutes: float, *options: str) -> list[Footprint]:
    """Runs it; gives memory and descriptors at each report. Raises SystemExit where it fails."""
    reports: list[Footprint] = []
    folder = str(HERE.parent / "exported_model")
    with ServerProcess("--model-dir", folder, *options, variables=ONE_ARENA) as server:
        server.ready()
        good = GoodCaller(server.address)
        good.start()
        for number in range(REPORTS):
            until_s = time.monotonic() + 60 * minutes / REPORTS
            while time.monotonic() < until_s:
                for abuse in ABUSES:
                    abuse(server.address)
            reports.append(footprint(server.pid))
            print(
                f"{number + 1}/{REPORTS}: {good.calls:,} good calls, "
                f"{reports[-1].resident_mb:.1f} MB, {reports[-1].descriptors} descriptors",
                flush=True,
            )
        good.end()
        status = server.stop()
    if good.failure or status:
        raise SystemExit(f"a good caller was hurt: {good.failure or f'exit status {status}'}")
    return reports


def main(minutes: float) -> None:
    """Soaks, and judges growth from the third report on."""
    reports = soak(minutes)
    early, late = reports[2], reports[-1]
    growth_mb = late.resident_mb - early.resident_mb
    if growth_mb > MOST_GROWTH_MB or late.descriptors - early.descriptors > MOST_NEW_DESCRIPTORS:
        raise SystemExit(f"it grew: from {early} to {late}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    main(parser.parse_args().minutes)
