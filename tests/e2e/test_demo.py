"""`make demo` tells the whole story."""

import subprocess
from pathlib import Path


def test_the_demo_runs_to_its_end(repository: Path) -> None:
    """`make demo` trains, exports, serves, classifies, scrapes, drains, and exits with 0."""
    done = subprocess.run(
        ["make", "demo"],
        cwd=repository,
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    for step in ("Train", "Serve", "Classify", "Metrics", "Drain", "Done"):
        assert step in done.stdout
