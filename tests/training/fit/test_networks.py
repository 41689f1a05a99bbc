"""The network's shape."""

import pytest
from flatdense_artifact import Architecture


def describe(hidden_units: int) -> Architecture:
    """The architecture of a new model."""
    from flatdense_training.fit import networks  # noqa: PLC0415 -- takes seconds

    return networks.describe(networks.build_student(hidden_units=hidden_units, classes=10))


@pytest.mark.parametrize(
    ("hidden_units", "parameters"), [(256, [0, 200_960, 2_570]), (1, [0, 785, 20])]
)
def test_architecture(hidden_units: int, parameters: list[int]) -> None:
    """The layers are Flatten, Dense and Dense, with the parameters that follow from the width."""
    architecture = describe(hidden_units)
    assert architecture.input_shape == [28, 28]
    assert [
        (layer.name, layer.kind, layer.activation, layer.output_shape, layer.parameters)
        for layer in architecture.layers
    ] == [
        ("flatten", "Flatten", None, [784], parameters[0]),
        ("hidden", "Dense", "relu", [hidden_units], parameters[1]),
        ("output", "Dense", "softmax", [10], parameters[2]),
    ]
