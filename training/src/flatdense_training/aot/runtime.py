"""The part of TensorFlow's XLA runtime that compiled functions call, from the wheel's sources."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from flatdense_artifact import Target

from flatdense_training.aot.toolchain import run_tool
from flatdense_training.errors import CompileFailed

SOURCES: Final = (
    "xla/backends/cpu/runtime/dot_lib_f32.cc",  # it takes ten times as long as the rest
    "tensorflow/compiler/tf2xla/allocator.cc",
    "tensorflow/compiler/tf2xla/xla_compiled_cpu_function.cc",
    "xla/backends/cpu/runtime/rng_state_lib.cc",
    "xla/executable_run_options.cc",
    "xla/service/custom_call_status.cc",
    "xla/tsl/concurrency/async_value.cc",
    "xla/tsl/concurrency/async_value_ref.cc",
    "xla/tsl/framework/contraction/eigen_contraction_kernel.cc",
)


def compile_flags(tensorflow: Path, target: Target) -> list[str]:
    """What every C++ file is compiled with; `tensorflow` is the folder of the package."""
    option = "-march" if target.machine == "x86_64" else "-mcpu"
    cpu = "generic" if target.cpu == "armv8-a" else target.cpu
    return [
        "-std=c++17",
        "-O2",
        "-fPIC",
        "-w",  # the warnings are TensorFlow's
        "-fvisibility=hidden",
        "-ffunction-sections",
        "-D_GLIBCXX_USE_CXX11_ABI=1",
        f"{option}={cpu}",
        f"-I{tensorflow / 'include'}",
        f"-I{tensorflow / 'xla_aot_runtime_src'}",
    ]


def compile_runtime(
    tensorflow: Path,
    compiler: Path,
    target: Target,
    folder: Path,
    step: Callable[[], None],
) -> list[Path]:
    """Compiles the runtime once for a TensorFlow and a target, and gives its object files.

    `folder` is kept: where it exists the work was done before. `step` is called for each file.
    Raises CompileFailed.
    """
    objects = [folder / Path(source).with_suffix(".o").name for source in SOURCES]
    if folder.exists():
        for _ in SOURCES:
            step()
        return objects
    aside = folder.with_name(f".{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    flags = compile_flags(tensorflow, target)

    for source in SOURCES:
        path = tensorflow / "xla_aot_runtime_src" / source
        if not path.exists():
            raise CompileFailed(
                f"{path} is missing: this TensorFlow does not carry XLA's runtime sources. "
                "Install the release that constraints.txt names."
            )
        target_file = aside / Path(source).with_suffix(".o").name
        run_tool([compiler, *flags, "-c", path, "-o", target_file])
        step()
    aside.rename(folder)
    return objects
