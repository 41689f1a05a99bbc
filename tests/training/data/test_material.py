"""What one run learns from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from flatdense_training.data.checksums import digest_array
from flatdense_training.data.datasets import (
    DIGITS,
    MNIST,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
)
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.idx import UInt8
from flatdense_training.data.material import Material, assemble
from flatdense_training.data.sources import Source
from flatdense_training.errors import DataUnfit


def make_source(
    seed: int, *, name: str = "own", class_names: Sequence[str] = ("a", "b"), test_rows: int = 20
) -> Source:
    """Random images, 40 to train on, of a dataset that nobody knows."""
    random = np.random.default_rng(seed)
    arrays: dict[str, UInt8] = {}
    for rows, images, labels in (
        (40, TRAIN_IMAGES, TRAIN_LABELS),
        (test_rows, TEST_IMAGES, TEST_LABELS),
    ):
        arrays[images] = random.integers(0, 256, (rows, 28, 28), np.uint8)
        arrays[labels] = np.arange(rows, dtype=np.uint8) % len(class_names)
    dataset = Dataset(
        name=name,
        title=name.title(),
        class_names=tuple(class_names),
        sha256={key: digest_array(array) for key, array in arrays.items()},
        min_accuracy=0.5,
    )
    return Source(dataset=dataset, arrays=arrays, origin=f"/data/{name}")


def embedded() -> Source:
    """The embedded digits."""
    return Source(dataset=DIGITS, arrays=read_embedded(), origin="the package")


def rows(material: Material) -> list[int]:
    """How many images train, validate and test."""
    splits = material.splits
    return [len(part) for part in (splits.train, splits.validation, splits.test)]


def test_one_dataset_is_itself() -> None:
    """A dataset alone keeps its description, and its parts are the whole."""
    material = assemble([embedded()], None, seed=0)
    assert material.dataset == DIGITS
    assert rows(material) == [1257, 270, 270]
    (part,) = material.parts
    np.testing.assert_array_equal(part.splits.test.images, material.splits.test.images)


def test_several_are_joined_in_their_order() -> None:
    """Each kind of part is joined, images stay with their labels, and every checksum is kept."""
    first, second = make_source(1, name="one"), make_source(2, name="two", test_rows=60)
    material = assemble([first, second], None, seed=0)
    assert material.dataset.name == "one+two"
    assert rows(material) == [68, 12, 80]
    np.testing.assert_array_equal(
        material.splits.test.images,
        np.concatenate([first.arrays[TEST_IMAGES], second.arrays[TEST_IMAGES]]),
    )
    np.testing.assert_array_equal(
        material.splits.train.labels,
        np.concatenate([part.splits.train.labels for part in material.parts]),
    )
    assert material.dataset.sha256 == {
        f"{source.dataset.name}/{name}": sha256
        for source in (first, second)
        for name, sha256 in source.dataset.sha256.items()
    }
    assert material.remarks == ()


def test_what_a_mix_must_reach() -> None:
    """A mix must reach what it does where each part reaches its own."""
    low = make_source(1, test_rows=10)
    high = make_source(2, name="high", test_rows=30)
    high = replace(high, dataset=replace(high.dataset, min_accuracy=0.9))
    dataset = assemble([low, high], None, seed=0).dataset
    assert dataset.min_accuracy == pytest.approx((0.5 * 10 + 0.9 * 30) / 40)


def test_digits_with_own_ones() -> None:
    """A known dataset and a user's own are parted each in its own way, and joined."""
    own = make_source(3, class_names="0123456789")
    material = assemble([embedded(), own], None, seed=0)
    assert material.dataset.name == "digits+own"
    assert material.dataset.class_names == MNIST.class_names
    assert [len(part.splits.test) for part in material.parts] == [270, 20]


def test_names_of_folders_need_not_differ() -> None:
    """Two datasets of one name are told apart, and no checksum is lost."""
    material = assemble([make_source(seed) for seed in (1, 2, 3)], None, seed=0)
    assert material.dataset.name == "own+own-2+own-3"
    assert len(material.dataset.sha256) == 12


def test_different_classes_are_refused() -> None:
    """Other classes, and the same in another order, are named; names for all make them equal."""
    sources = [make_source(1), make_source(2, name="two", class_names=("b", "a"))]
    with pytest.raises(DataUnfit, match=r"Own has the classes a, b, and Two has b, a.*class-names"):
        assemble(sources, None, seed=0)
    assert assemble(sources, ("x", "y"), seed=0).dataset.class_names == ("x", "y")
    with pytest.raises(DataUnfit, match="Own has 2 classes, and --class-names gives 3"):
        assemble(sources, ("x", "y", "z"), seed=0)


def test_the_same_twice_is_refused() -> None:
    """The same images and labels under two names would count twice."""
    again = make_source(1, name="again")
    with pytest.raises(DataUnfit, match="from /data/own and from /data/again are the same images"):
        assemble([make_source(1), again], None, seed=0)


def test_known_datasets_can_be_renamed() -> None:
    """A known dataset with other class names is still parted as it always is."""
    names = tuple("abcdefghij")
    material = assemble([embedded()], names, seed=0)
    assert material.dataset.class_names == names
    assert rows(material) == [1257, 270, 270]


def test_remarks_are_handed_on() -> None:
    """What a reader noticed reaches the user, from every source."""
    sources = [replace(make_source(seed), remarks=(f"remark {seed}",)) for seed in (1, 2)]
    assert assemble(sources, None, seed=0).remarks == ("remark 1", "remark 2")


def test_an_image_to_test_that_another_dataset_learns_is_told() -> None:
    """An overlap is found between datasets, not only inside one."""
    first, second = make_source(1, name="one"), make_source(2, name="two")
    second.arrays[TRAIN_IMAGES][5] = first.arrays[TEST_IMAGES][3]
    (remark,) = assemble([first, second], None, seed=0).remarks
    assert remark.startswith("1 of the 40 test images are among those to learn from")
    assert f"row 3 of {TEST_IMAGES} in /data/one, row 5 of {TRAIN_IMAGES} in /data/two" in remark


def test_a_test_set_that_was_learnt_is_refused() -> None:
    """Half of the test images among those to learn from is a mistake, and one less a remark."""
    source = make_source(1)
    source.arrays[TEST_IMAGES][:9] = source.arrays[TRAIN_IMAGES][:9]
    (remark,) = assemble([source], None, seed=0).remarks
    assert remark.startswith("9 of the 20 test images")
    source.arrays[TEST_IMAGES][:10] = source.arrays[TRAIN_IMAGES][:10]
    with pytest.raises(DataUnfit, match=r"10 of the 20 test images .* memory and not skill"):
        assemble([source], None, seed=0)


def test_files_are_named() -> None:
    """Where rows were files of their own, an overlap names the files."""
    source = make_source(1)
    source.arrays[TEST_IMAGES][0] = source.arrays[TRAIN_IMAGES][39]
    files = {
        TRAIN_IMAGES: [f"train/{row}.png" for row in range(40)],
        TEST_IMAGES: [f"test/{row}.png" for row in range(20)],
    }
    (remark,) = assemble([replace(source, files=files)], None, seed=0).remarks
    assert "one is: train/39.png in /data/own, test/0.png in /data/own." in remark
