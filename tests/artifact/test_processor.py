"""What a processor can do, as Linux tells it on the machines that there are."""

from pathlib import Path

import pytest
from flatdense_artifact.processor import BASELINES, processor_features, vector_features

CPUINFO = {
    "a Raspberry Pi 4": """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

processor\t: 1
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

Hardware\t: BCM2835
Revision\t: c03112
Model\t\t: Raspberry Pi 4 Model B Rev 1.2
""",
    "a Neoverse N1": """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc \
dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

""",
    "a Neoverse V1": """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt \
fcma lrcpc dcpop sha3 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs dcpodp svei8mm \
svebf16 i8mm bf16 dgh rng
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1

""",
}
"""/proc/cpuinfo of 64-bit ARM machines."""

USABLE = {
    "a Raspberry Pi 4": {"asimd", "crc32", "fp"},
    "a Neoverse N1": {
        *("asimd", "asimddp", "asimdhp", "asimdrdm", "atomics", "crc32", "fp", "fphp", "lrcpc"),
    },
    "a Neoverse V1": {
        *("asimd", "asimddp", "asimdfhm", "asimdhp", "asimdrdm", "atomics", "bf16", "crc32"),
        *("fcma", "flagm", "fp", "fphp", "i8mm", "ilrcpc", "jscvt", "lrcpc"),
        *("sve", "svebf16", "svei8mm", "uscat"),
    },
}


@pytest.mark.parametrize("name", CPUINFO)
def test_every_64_bit_arm_has_what_the_portable_target_needs(name: str, tmp_path: Path) -> None:
    """What Linux writes there is read, and what a compiler may use of it is known."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CPUINFO[name])
    features = processor_features(cpuinfo)
    assert features >= BASELINES["aarch64"][1]
    assert vector_features(features) == USABLE[name]


def test_features_are_those_that_every_processor_has(tmp_path: Path) -> None:
    """What one core lacks is not counted, and the rest of the file is not mistaken for features."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t: fpu avx2 fma\nmodel name\t: sse42\nflags\t: avx2 bmi2 fpu\n")
    assert processor_features(cpuinfo) == {"fpu", "avx2"}
    assert vector_features(processor_features(cpuinfo)) >= {"avx2"}
    assert processor_features(tmp_path / "nowhere") == frozenset()
