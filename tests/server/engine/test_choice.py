"""Which engine runs, and what is said where it cannot."""

import pytest
from flatdense_server.engine.choice import prepare_engine
from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.ladder import Ladder


def test_an_engine_that_is_not_there_is_refused_with_a_way_on() -> None:
    """--engine aot without a compiled library names the engines that work."""
    with pytest.raises(EngineError, match="--engine auto or --engine jit"):
        prepare_engine("aot", "cpu", Ladder((1,)), lambda _phase: None)
