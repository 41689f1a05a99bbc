"""report.json: the figures of a version."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.judge.calibration import BINS
from flatdense_training.judge.disturbances import DISTURBANCES
from flatdense_training.judge.hardest import HARDEST
from flatdense_training.report.findings import Findings
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

pytestmark = pytest.mark.xdist_group("report")  # the files are written once


@pytest.fixture(scope="module")
def figures(folder: Path) -> Mapping[str, object]:
    """The file, parsed."""
    parsed: dict[str, object] = json.loads((folder / "report.json").read_bytes())
    return parsed


def test_keys(figures: Mapping[str, object]) -> None:
    """It has exactly these chapters, and says of which format it is."""
    assert list(figures) == [
        "format_version",
        "epochs",
        "validation",
        "test",
        "confusion",
        "classes",
        "calibration",
        "rejection",
        "robustness",
        "hardest",
    ]
    assert figures["format_version"] == 1


def test_epochs(figures: Mapping[str, object], findings: Findings) -> None:
    """Each epoch has its figures, and the rate and the seconds too."""
    assert [epoch["number"] for epoch in figures["epochs"]] == [1, 2, 3]
    second = figures["epochs"][1]
    assert second["loss"] == findings.epochs[1].loss
    assert second["accuracy"] == findings.epochs[1].accuracy
    assert second["validation_loss"] == findings.epochs[1].validation_loss
    assert second["validation_accuracy"] == findings.epochs[1].validation_accuracy
    assert (second["learning_rate"], second["duration_s"]) == (0.0005, 1.5)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_outcomes(figures: Mapping[str, object], findings: Findings, name: str) -> None:
    """Rows, right answers, accuracy, its interval and the loss are scikit-learn's and SciPy's."""
    outcome, evaluation = figures[name], getattr(findings, name)
    correct = metrics.accuracy_score(evaluation.labels, evaluation.classes, normalize=False)
    interval = binomtest(int(correct), evaluation.rows).proportion_ci(method="wilson")
    probabilities = evaluation.probabilities.astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # of float32 it is 1 to 7 digits
    assert (outcome["rows"], outcome["correct"]) == (270, correct)
    assert outcome["accuracy"] == correct / 270
    assert outcome["accuracy_low"] == pytest.approx(interval.low)
    assert outcome["accuracy_high"] == pytest.approx(interval.high)
    assert outcome["loss"] == pytest.approx(
        metrics.log_loss(evaluation.labels, probabilities), rel=1e-5
    )


def test_classes(figures: Mapping[str, object], findings: Findings) -> None:
    """The confusion matrix, precision and recall are scikit-learn's, the intervals SciPy's."""
    test = findings.test
    assert figures["confusion"] == metrics.confusion_matrix(test.labels, test.classes).tolist()
    precision, recall, _, rows = metrics.precision_recall_fscore_support(test.labels, test.classes)
    answers = np.bincount(test.classes, minlength=10)
    for label, each in enumerate(figures["classes"]):
        right = figures["confusion"][label][label]
        found = binomtest(right, int(rows[label])).proportion_ci(method="wilson")
        trusted = binomtest(right, int(answers[label])).proportion_ci(method="wilson")
        assert (each["name"], each["rows"]) == (str(label), rows[label])
        assert each["precision"] == pytest.approx(precision[label])
        assert each["recall"] == pytest.approx(recall[label])
        assert (each["recall_low"], each["recall_high"]) == pytest.approx((found.low, found.high))
        assert (each["precision_low"], each["precision_high"]) == pytest.approx(
            (trusted.low, trusted.high)
        )


def test_calibration(figures: Mapping[str, object], findings: Findings) -> None:
    """The bins are scikit-learn's, and the ECE is what they make of it."""
    calibration, test = figures["calibration"], findings.test
    accuracies, confidences = calibration_curve(
        test.hits, test.confidences.astype(float), n_bins=BINS
    )
    bins = calibration["bins"]
    assert [each["accuracy"] for each in bins] == pytest.approx(accuracies.tolist())
    assert [each["confidence"] for each in bins] == pytest.approx(confidences.tolist())
    assert sum(each["rows"] for each in bins) == 270
    weights = [each["rows"] / 270 for each in bins]
    assert calibration["ece"] == pytest.approx(np.dot(weights, abs(accuracies - confidences)))
    assert calibration["temperature"] == 1.25


def test_rejection_and_robustness(figures: Mapping[str, object], findings: Findings) -> None:
    """Nothing withheld, and nothing disturbed, is the accuracy itself; every disturbance is in."""
    accuracy = findings.test.accuracy
    assert figures["rejection"][0] == {"threshold": 0, "answered": 1, "accuracy": accuracy}
    steps = figures["robustness"]
    assert list(dict.fromkeys(step["disturbance"] for step in steps)) == [
        each.name for each in DISTURBANCES
    ]
    assert len(steps) == sum(1 + len(each.amounts) for each in DISTURBANCES)
    first = {step["disturbance"]: step["accuracy"] for step in reversed(steps)}
    assert set(first.values()) == {accuracy}


def test_hardest(figures: Mapping[str, object], findings: Findings) -> None:
    """Each hardest image comes with its own pixels, in base64."""
    examples = findings.test_examples
    assert len(figures["hardest"]) == HARDEST
    for image in figures["hardest"]:
        assert base64.b64decode(image["pixels"]) == examples.images[image["row"]].tobytes()
        assert image["label"] == examples.labels[image["row"]]
        assert image["label_probability"] <= image["confidence"]
