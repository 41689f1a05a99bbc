"""Which processor the code is for: every baseline, and what a compiler says of this one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_artifact.processor import BASELINES, WIDE
from flatdense_training.aot import target
from flatdense_training.aot.target import choose_targets, native_cpu

SOFTWARE_FLOATS = (b"__addsf3", b"__mulsf3", b"__fixsfsi")
"""What compilers call for a processor without floating point. No library here has it."""


@pytest.mark.parametrize(
    ("machine", "cpu"),
    [*((machine, cpu) for machine, (cpu, _) in BASELINES.items()), ("x86_64", WIDE[0])],
)
def test_xla_knows_the_processor_of_every_baseline(machine: str, cpu: str, tmp_path: Path) -> None:
    """XLA compiles for each machine, without calls of software floating point, and says nothing."""
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


@pytest.mark.parametrize(
    ("enabled", "here", "cpu"),
    [
        ("disabled", WIDE[1], "x86-64-v4"),
        ("enabled", WIDE[1], "znver3"),
        ("disabled", BASELINES["x86_64"][1], "znver3"),
    ],
)
def test_a_compiler_older_than_the_processor_does_not_cost_avx512(
    enabled: str,
    here: frozenset[str],
    cpu: str,
    tmp_path: Path,
    write_compiler: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where its name for this processor stands for one without AVX-512, the level with it is."""
    script = f"[ $1 = -march=native ] && echo -march=znver3 || echo '-mavx512f [{enabled}]'"
    compiler = write_compiler(tmp_path / "bin", script) / "c++"
    monkeypatch.setattr(target, "find_compiler", lambda: compiler)
    monkeypatch.setattr(target, "machine", lambda: "x86_64")
    monkeypatch.setattr(target, "processor_features", lambda: here)
    (chosen,) = choose_targets("native")
    assert chosen.cpu == cpu
    assert set(chosen.features) == here


@pytest.mark.parametrize(
    ("here", "levels"),
    [
        (WIDE[1] | {"amx_tile"}, ["x86-64-v3", "x86-64-v4"]),
        (WIDE[1] - {"avx512vl"}, ["x86-64-v3"]),
        (frozenset({"avx2"}), ["x86-64-v3"]),
    ],
)
def test_a_processor_with_avx512_gets_a_library_that_uses_it(
    here: frozenset[str], levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the portable one, which is always made, and wherever all of that level is there."""
    monkeypatch.setattr(target, "machine", lambda: "x86_64")
    monkeypatch.setattr(target, "processor_features", lambda: here)
    assert [each.cpu for each in choose_targets("auto")] == levels
    assert [each.cpu for each in choose_targets("portable")] == levels[:1]


def test_arm_gets_its_one_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one level, whatever the processor has."""
    monkeypatch.setattr(target, "machine", lambda: "aarch64")
    monkeypatch.setattr(target, "processor_features", lambda: WIDE[1])
    assert [each.cpu for each in choose_targets("auto")] == ["generic"]
