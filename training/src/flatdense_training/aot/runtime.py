"""The part of TensorFlow's XLA runtime that compiled functions call, from the wheel's sources."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flatdense_artifact import Target

from flatdense_training.aot.toolchain import Toolchain
from flatdense_training.errors import CompileFailed
from flatdense_training.staging import rename_if_free, staged

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
    return [
        "-std=c++17",
        "-O2",
        "-fPIC",
        "-w",  # the warnings are TensorFlow's
        "-fvisibility=hidden",
        "-ffunction-sections",
        "-D_GLIBCXX_USE_CXX11_ABI=1",
        f"{option}={target.cpu}",
        f"-I{tensorflow / 'include'}",
        f"-I{tensorflow / 'xla_aot_runtime_src'}",
    ]


def compile_runtime(
    tensorflow: Path,
    toolchain: Toolchain,
    target: Target,
    folder: Path,
    step: Callable[[], None],
) -> list[Path]:
    """Compiles the runtime once for a TensorFlow and a target, and gives its object files.

    `folder` appears whole and is kept: where it exists the work was done before. `step` is called
    for each file. Raises CompileFailed or OSError.
    """
    objects = [folder / object_name(source) for source in SOURCES]
    if folder.exists():
        for _ in SOURCES:
            step()
        return objects
    flags = compile_flags(tensorflow, target)
    with staged(folder.parent) as aside:
        for source in SOURCES:
            path = tensorflow / "xla_aot_runtime_src" / source
            if not path.exists():
                raise CompileFailed(
                    f"{path} is missing: this TensorFlow does not carry XLA's runtime sources. "
                    "Install the release that constraints.txt names."
                )
            toolchain.run([*flags, "-c", path], aside / object_name(source))
            step()
        rename_if_free(aside, folder)  # where another run was first, its files are as good
    return objects


def object_name(source: str) -> str:
    """What the object file of a source is called."""
    return Path(source).with_suffix(".o").name
