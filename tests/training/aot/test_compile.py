"""flatdense-compile, as a user meets it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flatdense_artifact import check_library, read_library
from flatdense_artifact.digest import digest
from flatdense_artifact.library import FRAMEWORK_NAME
from flatdense_artifact.processor import BASELINES, WIDE, processor_features
from flatdense_training.aot.job import powers_of_two

pytestmark = pytest.mark.xdist_group("aot")

COMMAND = Path(sys.executable).with_name("flatdense-compile")

SMALL = ("--max-batch-rows", "2", "--hidden", "24", "--classes", "3", "--target", "portable")


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with variables added to the environment."""
    return subprocess.run(
        [COMMAND, *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **variables},  # noqa: TID251 -- handed on, not read
    )


@pytest.mark.parametrize(
    ("top", "sizes"),
    [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (100, (1, 2, 4, 8, 16, 32, 64, 100))],
)
def test_the_ladder_is_powers_of_two_and_its_top(top: int, sizes: tuple[int, ...]) -> None:
    """The sizes that are compiled are those that the jit engine compiles too."""
    assert powers_of_two(top) == sizes


def test_the_source_opens_each_function_by_type_and_rows() -> None:
    """Every compiled function is included and can be opened; weights are set by name."""
    from flatdense_training.aot.graph import Function  # noqa: PLC0415 -- takes seconds
    from flatdense_training.aot.wrapper import write_source  # noqa: PLC0415 -- takes seconds

    source = write_source([Function("uint8", 1), Function("float32", 64)])
    for said in (
        '#include "uint8_1.h"',
        "dtype == FLATDENSE_UINT8 && rows == 1",
        "new Network<flatdense::float32_64>",
        "set_arg_feed_hidden_kernel_data(hidden_kernel)",
    ):
        assert said in source


def test_without_a_compiler_the_command_says_what_to_install(tmp_path: Path) -> None:
    """No compiler: status 1 and a sentence, before TensorFlow is loaded."""
    done = run("--cache-dir", str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "no C++ compiler" in done.stderr
    assert "--engine jit" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_tensorflow_the_command_says_what_to_install(tmp_path: Path) -> None:
    """No TensorFlow, or one without its compiler: status 1 and a sentence."""
    code = (
        "import sys; sys.modules['tensorflow'] = None;"
        "from flatdense_training.compile_cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--cache-dir", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 1
    assert "does not compile ahead of time" in done.stderr
    assert "Install the release that constraints.txt names" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(
    tmp_path: Path, broken_compiler: Path
) -> None:
    """What the compiler said reaches the user, and no half a library stays behind."""
    cache = tmp_path / "cache"
    options = ("--cache-dir", str(cache), "--max-batch-rows", "1", "--hidden", "8")
    done = run(*options, PATH=f"{broken_compiler}:{os.defpath}")
    assert done.returncode == 1
    assert "status 7" in done.stderr
    assert "no space left" in done.stderr
    assert [path for path in cache.rglob("*") if path.parent != cache] == []


def test_a_processor_that_xla_does_not_know_is_told(
    tmp_path: Path, write_compiler: Callable[..., Path]
) -> None:
    """A compiler's name that LLVM does not take: status 1 and what to do, and nothing is left."""
    cache = tmp_path / "cache"
    lines = [f"echo '  {option}=tomorrow'" for option in ("-march", "-mcpu")]
    compiler = write_compiler(tmp_path / "bin", *lines, "echo '-mavx512f [enabled]'")
    options = ("--cache-dir", str(cache), *SMALL, "--target", "native")
    done = run(*options, PATH=f"{compiler}:{os.defpath}")
    assert done.returncode == 1, done.stderr
    assert "does not know this processor" in done.stderr
    assert "calls tomorrow. Compile with --target portable" in done.stderr
    assert [path for path in cache.rglob("*") if path.parent != cache] == []


@pytest.mark.parametrize("send", [os.killpg, os.kill])
def test_ctrl_c_leaves_nothing(
    tmp_path: Path, held_compiler: Path, send: Callable[[int, int], None]
) -> None:
    """Ctrl-C while a compiler runs, or the signal to the command alone: 130, and nothing is left.

    Neither half a library, nor the compiler, nor what the compiler started.
    """
    cache = tmp_path / "cache"
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from flatdense_training.compile_cli import main; main()"
    )
    options = ("--cache-dir", cache, "--max-batch-rows", "1", "--hidden", "8")
    with subprocess.Popen(
        # A test run in the background of a shell has Ctrl-C ignored, and would hand that on.
        [sys.executable, "-c", program, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{held_compiler}:{os.defpath}"},  # noqa: TID251
        start_new_session=True,
    ) as process:
        (held_compiler / "started").read_text()
        send(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == f"\nInterrupted. No unfinished library is left in {cache}.\n"
    assert [path for path in cache.rglob("*") if path.parent != cache] == []
    with pytest.raises(OSError, match="No such device"):  # nobody reads: the child is gone too
        os.open(held_compiler / "held", os.O_WRONLY | os.O_NONBLOCK)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, compiled: Path) -> None:
    """A cache that is a file: status 1 and its name."""
    assert compiled.exists()
    (tmp_path / "cache").touch()
    done = run("--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 1
    assert f"could not be written to {tmp_path / 'cache'}" in done.stderr


def test_the_description_says_what_was_compiled(compiled: Path) -> None:
    """library.json has the architecture, the ladder, the target and the digests."""
    library = read_library(compiled)
    assert (library.shape.pixels, library.shape.hidden, library.shape.classes) == (784, 256, 10)
    assert library.ladder_rows == [1 << k for k in range(11)]
    assert compiled.name == library.name
    assert set(json.loads((compiled / "library.json").read_text())["files"]) == set(library.files)


@pytest.fixture(scope="module")
def small_cache(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the runtime of the user's, and the library of a small architecture."""
    cache = tmp_path_factory.mktemp("small")
    (cache / "aot-runtime").symlink_to(compiled.parents[1] / "aot-runtime")
    done = run("--cache-dir", str(cache), *SMALL)
    assert done.returncode == 0, done.stderr
    assert "tried and right" in done.stdout
    return cache


def files(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a folder."""
    return {
        str(path.relative_to(folder)): digest(path) for path in folder.rglob("*") if path.is_file()
    }


def test_another_architecture_needs_no_new_runtime(small_cache: Path) -> None:
    """A library of other widths has its own name, and is up to date the second time.

    No compiler is wanted for that.
    """
    (folder,) = (small_cache / "aot").iterdir()
    assert folder.name.startswith("784-24-3_rows-2_")
    done = run("--cache-dir", str(small_cache), *SMALL, PATH=str(small_cache))
    assert (done.returncode, done.stdout) == (0, f"{folder} is up to date\n")


def test_a_library_for_avx512_stands_beside_the_portable_one(
    compiled: Path, tmp_path: Path
) -> None:
    """One run makes both where the processor has it, of which only a damaged one is made again.

    TensorFlow's one file is on the disk once.
    """
    if not processor_features() >= WIDE[1]:
        pytest.skip("this processor has no AVX-512")
    (tmp_path / "aot-runtime").symlink_to(compiled.parents[1] / "aot-runtime")
    options = ("--cache-dir", str(tmp_path), *SMALL, "--target", "auto")
    made = run(*options)
    assert made.returncode == 0, made.stderr
    libraries = {read_library(path).target.cpu: path for path in (tmp_path / "aot").iterdir()}
    assert libraries.keys() == {BASELINES["x86_64"][0], WIDE[0]}
    for path in libraries.values():
        library = read_library(path)
        check_library(path, library, library.shape)
    assert len({(path / FRAMEWORK_NAME).stat().st_ino for path in libraries.values()}) == 1
    (libraries[WIDE[0]] / "library.json").unlink()
    again = run(*options)
    assert f"{libraries[BASELINES['x86_64'][0]]} is up to date" in again.stdout
    assert f"{libraries[WIDE[0]]}, tried and right" in again.stdout


@pytest.mark.parametrize(
    ("blocks", "what"),
    [(8, "saved_model.pb"), (65, "uint8_1"), (150, "flatdense_aot.o"), (40_000, "{cache}: File")],
)
def test_a_full_disk(small_cache: Path, blocks: int, what: str) -> None:
    """A file that cannot be written to its end: its name or folder, the reason, and no harm done.

    The shell's limit is in blocks of 512 bytes. The graphs, XLA's objects, the compiler's and the
    copy of TensorFlow's library fail in turn. The library that was there stays.
    """
    before = files(small_cache / "aot")
    limited = ("sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh")
    done = subprocess.run(
        [*limited, COMMAND, "--force", "--cache-dir", small_cache, *SMALL],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 1
    assert what.format(cache=small_cache) in done.stderr
    assert re.search("File too large|File size limit exceeded", done.stderr)
    assert str(small_cache) in done.stderr
    assert "--engine jit" in done.stderr or "--cache-dir" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(small_cache / "aot") == before


def test_two_at_once(small_cache: Path) -> None:
    """Two that compile the same library at once both succeed, and one whole library stays."""
    (folder,) = (small_cache / "aot").iterdir()
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(run, "--cache-dir", str(small_cache), *SMALL, "--force") for _ in range(2)
        ]
        for done in both:
            assert done.result().returncode == 0, done.result().stderr
    assert list((small_cache / "aot").iterdir()) == [folder]
    library = read_library(folder)
    check_library(folder, library, library.shape)


def test_a_damaged_library_is_compiled_again(small_cache: Path) -> None:
    """A library that cannot be read is not up to date, and a whole one takes its place."""
    (folder,) = (small_cache / "aot").iterdir()
    (folder / "library.json").write_text("{")
    done = run("--cache-dir", str(small_cache), *SMALL)
    assert done.returncode == 0, done.stderr
    library = read_library(folder)
    check_library(folder, library, library.shape)
