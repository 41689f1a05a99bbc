"""A worker: however often and in whatever order parts come to it, each image is there once."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from flatdense_client import prepare_image
from flatdense_cluster.score.job import Order, find_plan, find_source
from flatdense_cluster.score.model import find_model, open_model
from flatdense_cluster.score.output import Output
from flatdense_cluster.score.plan import Plan
from flatdense_cluster.score.scorer import MAX_TRIES, Scorer, Task
from flatdense_cluster.score.table import part_name, tries_file
from flatdense_server.engine.engine import Engine
from flatdense_server.tensors import Outputs
from hypothesis import given, settings
from hypothesis import strategies as st

Images = npt.NDArray[np.uint8]
MakeOrder = Callable[..., Order]


def prepare(order: Order) -> tuple[Task, Plan]:
    """What a job does before its workers begin."""
    source, output = find_source(order.source), Output(order.output)
    model = find_model(order.model_dir, order.version)
    with output.held():
        plan = find_plan(order, output, source, model)
    task = Task(
        source=source,
        output=order.output,
        model=model,
        engine=order.engine,
        cache_dir=order.cache_dir,
    )
    return task, plan


def ask(scorer: Scorer, part: int) -> dict[str, Any]:
    """The receipt of one part."""
    receipt = scorer({"part": np.array([part])})
    return {name: value for name, (value,) in receipt.items()}


@pytest.fixture(scope="session")
def engine(exported_model: Path, order_of: MakeOrder) -> Engine:
    """The server's, with the repository's model."""
    order = order_of(Path("rows.npy"))
    model = find_model(exported_model, None)
    return open_model(model, order.engine, order.cache_dir).engine


@settings(max_examples=25)  # each opens the model twice
@given(data=st.data(), count=st.integers(1, 30), part_rows=st.integers(1, 12))
def test_each_image_exactly_once(
    data: st.DataObject,
    count: int,
    part_rows: int,
    tmp_path_factory: pytest.TempPathFactory,
    order_of: MakeOrder,
    engine: Engine,
) -> None:
    """With the very bits of the server's engine, whoever scored which part, and if again."""
    folder = tmp_path_factory.mktemp("job")
    rows = np.random.default_rng(count).integers(0, 256, (count, 784), np.uint8)
    np.save(folder / "rows.npy", rows)
    task, plan = prepare(order_of(folder / "rows.npy", output=folder / "out", part_rows=part_rows))
    again = data.draw(st.lists(st.integers(0, plan.parts - 1), max_size=4))
    parts = data.draw(st.permutations([*range(plan.parts), *again]))
    workers = [Scorer(task), Scorer(task)]
    for part in parts:
        receipt = ask(data.draw(st.sampled_from(workers)), part)
        assert (receipt["failure"], receipt["rows"]) == ("", plan.rows_of(part))
    assert Output(task.output).finish(plan).scored == count
    table = pq.read_table(task.output).to_pydict()
    assert table["index"] == list(range(count))
    batches = [rows[first : first + part_rows] for first in range(0, count, part_rows)]
    outputs = Outputs.join([engine.run([batch]) for batch in batches])
    assert table["probabilities"] == outputs.probabilities.tolist()
    assert table["class_index"] == outputs.classes.tolist()
    assert table["class_name"] == [str(number) for number in table["class_index"]]
    assert table["confidence"] == [max(row) for row in table["probabilities"]]
    assert set(table["version"]) == {1}
    assert set(table["error"]) == {None}


def test_digits_have_the_answers_of_a_lone_call(
    tmp_path: Path, order_of: MakeOrder, draw: Callable[[Path, int], None], engine: Engine
) -> None:
    """What the server says of a picture by itself, but for the order of sums in a batch."""
    draw(tmp_path / "scans", 30)
    task, plan = prepare(order_of(tmp_path / "scans"))
    for part in range(plan.parts):
        ask(Scorer(task), part)
    for row in pq.read_table(task.output).to_pylist():
        image = prepare_image(tmp_path / "scans" / row["source"]).pixels.reshape(1, 784)
        alone = engine.run([image])
        assert row["class_index"] == alone.classes[0]
        assert np.allclose(row["probabilities"], alone.probabilities[0], rtol=0, atol=1e-5)


def test_a_rejected_row_has_an_error_and_no_answer(
    tmp_path: Path, order_of: MakeOrder, draw: Callable[[Path, int], None]
) -> None:
    """The others have an answer and no error; the receipt names it."""
    draw(tmp_path / "scans", 5)
    (tmp_path / "scans" / "bad.png").write_text("no picture")
    task, _ = prepare(order_of(tmp_path / "scans"))
    receipt = ask(Scorer(task), 0)
    assert (receipt["rows"], receipt["rejected"]) == (6, 1)
    assert receipt["examples"][0].startswith("bad.png: this is not a PNG or JPEG")
    bad, *good = pq.read_table(task.output).to_pylist()
    answered = ("class_index", "class_name", "confidence", "probabilities")
    assert bad["source"] == "bad.png"
    assert bad["error"]
    assert {bad[name] for name in answered} == {None}
    assert all(row["error"] is None and None not in map(row.get, answered) for row in good)


def test_a_part_that_kills_its_workers_is_given_up(
    tmp_path: Path, order_of: MakeOrder, rows: Images
) -> None:
    """After three tries, with the images that are in it; a part that succeeds is not counted."""
    np.save(tmp_path / "rows.npy", rows)
    task, _ = prepare(order_of(tmp_path / "rows.npy"))
    tries_file(task.output, 2).write_bytes(b"." * MAX_TRIES)
    assert "died 3 times at part 2, which begins with image 32" in ask(Scorer(task), 2)["failure"]
    assert ask(Scorer(task), 1)["failure"] == ""
    assert not tries_file(task.output, 1).exists()


@pytest.mark.parametrize("gone", ["plan", "model", "source"])
def test_what_a_node_does_not_see_is_said(
    tmp_path: Path, order_of: MakeOrder, rows: Images, gone: str
) -> None:
    """By its path: the node may lack the file system."""
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "models").mkdir()
    made = order_of(tmp_path / "rows.npy")
    task, _ = prepare(made)
    if gone == "plan":
        (task.output / "_plan" / "plan.json").unlink()
    elif gone == "source":
        task.source.path.unlink()
    else:
        task = Task(
            source=task.source,
            output=task.output,
            model=type(task.model)(folder=tmp_path / "away", version=1, sha256="a"),
            engine=task.engine,
            cache_dir=task.cache_dir,
        )
    failure = ask(Scorer(task), 0)["failure"]
    lost = {"plan": "plan.json", "model": "away", "source": "rows.npy"}[gone]
    assert lost in failure
    assert not (task.output / part_name(0)).exists()


def test_a_full_disk_leaves_no_half_part(
    tmp_path: Path,
    order_of: MakeOrder,
    rows: Images,
    limit_file_size: Callable[[int], AbstractContextManager[None]],
) -> None:
    """The receipt says so; with room again the same part is scored."""
    np.save(tmp_path / "rows.npy", rows)
    task, plan = prepare(order_of(tmp_path / "rows.npy"))
    scorer = Scorer(task)
    with limit_file_size(1024):
        failure = ask(scorer, 0)["failure"]
    assert "File too large" in failure
    assert [f.name for f in task.output.iterdir() if "parquet" in f.name] == [
        tries_file(task.output, 0).name
    ]
    assert ask(scorer, 0)["failure"] == ""
    assert set(Output(task.output).count_parts(plan)) == {0}
