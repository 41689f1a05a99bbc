"""Which processor the code is for: every baseline, and what a compiler says of this one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_artifact.processor import BASELINES
from flatdense_training.aot.target import native_cpu

SOFTWARE_FLOATS = (b"__addsf3", b"__mulsf3", b"__fixsfsi")
"""What compilers call for a processor without floating point. No library here has it."""


@pytest.mark.parametrize("machine", sorted(BASELINES))
def test_xla_knows_the_processor_of_every_baseline(machine: str, tmp_path: Path) -> None:
    """XLA compiles for each machine, without calls of software floating point, and says nothing."""
    cpu, _features = BASELINES[machine]
    done = subprocess.run(
        [sys.executable, "-m", "flatdense_training.aot.sample", machine, cpu, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "not a recognized processor" not in done.stderr
    for code in tmp_path.glob("*.o"):
        assert not [name for name in SOFTWARE_FLOATS if name in code.read_bytes()]
    assert len(list(tmp_path.glob("*.h"))) == 2


@pytest.mark.parametrize(
    ("said", "cpu"),
    [
        ("rocketlake", "rocketlake"),
        ("neoverse-n1+crypto", "neoverse-n1"),
        ("ares+crypto+noprofile", "neoverse-n1"),
        ("cortex-a57+crypto", "cortex-a57"),
        ("cortex-a76.cortex-a55+crypto", "cortex-a76"),
        ("zeus+crypto+sm4+noprofile+nossbs", "neoverse-v1"),
        ("generic", "generic"),
    ],
)
def test_the_compilers_word_for_this_processor_is_one_that_llvm_knows(
    said: str, cpu: str, tmp_path: Path, write_compiler: Callable[..., Path]
) -> None:
    """Without what gcc appends on ARM, and by the name that ARM sells it under."""
    lines = [f"echo '  {option}={said}'" for option in ("-march", "-mcpu")]
    assert native_cpu(write_compiler(tmp_path / "bin", *lines) / "c++") == cpu
