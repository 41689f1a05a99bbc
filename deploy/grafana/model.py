"""The rows about the model: what is served, and whether its answers are worth anything."""

from collections.abc import Sequence
from typing import Final

from panels import AnyPanel, Named, Steps, bars, lines, listing, name, number, states
from queries import mean, quantile, rate, share

VERSION: Final = "model, version"

NONE: Final[Steps] = ((None, "green"), (1, "red"))
DRIFTED: Final[Steps] = ((None, "green"), (0.1, "orange"), (0.25, "red"))
UNSURE: Final[Steps] = ((None, "green"), (0.05, "red"))

IN_FORCE: Final[Named] = {"0": ("refused", "red"), "1": ("in force", "green")}


def versions() -> Sequence[AnyPanel]:
    """What is served, and what may be next."""
    candidate = "{{shadow}} beside {{version}}"
    return (
        states(
            "Versions",
            "max by (model, version, state) (flatdense_model_state{MODEL} == 1)",
            "{{model}} {{version}} {{state}}",
            about="failed: it was refused, and what was served before goes on. Alert: "
            "FlatdenseVersionRefused.",
        ),
        listing(
            "What is served",
            "flatdense_model_info{MODEL}",
            width=12,
            about="What the manifests say; test_accuracy is a fraction.",
        ),
        number(
            "versions.toml",
            'min(flatdense_policy_valid{SERVER,model=~"$model"})',
            named=IN_FORCE,
            about="Alert: FlatdensePolicyRefused.",
        ),
        name(
            "Lane",
            "count by (lane) (flatdense_lane{SERVER})",
            "{{lane}}",
            about="standard is slow. Alert: FlatdenseStandardLane.",
        ),
        number(
            "Compiled while serving",
            'sum(flatdense_xla_compilations_total{SERVER,phase="serving"})',
            steps=NONE,
            about="There must be none. Alert: FlatdenseCompiledWhileServing.",
        ),
        number(
            "Last batch",
            "time() - max(flatdense_last_inference_timestamp_seconds{MODEL})",
            "s",
            about="How long ago.",
        ),
        name(
            "Labels",
            'count by (label, version) (flatdense_model_label{SERVER,model=~"$model"})',
            "{{label}}: {{version}}",
            width=6,
            about="Which version a label means.",
        ),
        number(
            "Loading took",
            "max(flatdense_model_load_duration_seconds{MODEL})",
            "s",
            width=6,
            about="From opening a version's folder to being ready to serve it; of the slowest.",
        ),
        lines(
            "A candidate's answers",
            "percentunit",
            (
                share(
                    "flatdense_shadow_agreeing_rows_total{MODEL}",
                    "flatdense_shadow_rows_total{MODEL}",
                    f"{VERSION}, shadow",
                ),
                candidate,
            ),
            most=1,
            about="The share of the live images to which --shadow-version gives the same class.",
        ),
        lines(
            "A candidate's largest difference",
            "percentunit",
            (
                f"max by ({VERSION}, shadow) (flatdense_shadow_largest_difference{{MODEL}})",
                candidate,
            ),
            most=1,
            about="The most that a probability differed by.",
        ),
        lines(
            "A candidate's time",
            "short",
            (quantile(0.5, "flatdense_shadow_latency_ratio", f"{VERSION}, shadow"), candidate),
            about="For a batch, over that of the served version: the median. Above 1 it is slower.",
        ),
    )


def health() -> Sequence[AnyPanel]:
    """Whether images and answers are what they should be."""
    live = "sum by (feature, bin) (increase(flatdense_drift_rows_total{MODEL}[10m]))"
    trained = "sum by (feature, bin) (flatdense_drift_reference_rows{MODEL})"
    difference = f"abs({share_of_feature(live)} - {share_of_feature(trained)})"
    served = "{{model}} {{version}}"
    return (
        lines(
            "Drift",
            "short",
            (
                f"max by ({VERSION}, feature) (flatdense_drift_psi{{MODEL}})",
                "{{feature}} {{version}}",
            ),
            steps=DRIFTED,
            about="The population stability index of the last images against those of the "
            "training run. Of fewer than 500 there is none. Alert: FlatdenseDrift, above 0.25.",
        ),
        lines(
            "Images that tell of drift",
            "short",
            (f"max by ({VERSION}) (flatdense_drift_window_rows{{MODEL}})", served),
            about="In the window of --drift-window-s.",
        ),
        bars(
            "Where it drifts",
            "percentunit",
            f"topk(8, {difference})",
            "{{feature}}, bin {{bin}}",
            about="The bins whose share of the last ten minutes' images differs most from that of "
            "the training run. Bins are counted from 0; of `class` they are the classes.",
        ),
        lines(
            "Unsure",
            "percentunit",
            (
                share(
                    "flatdense_low_confidence_rows_total{MODEL}",
                    "flatdense_health_rows_total{MODEL}",
                    VERSION,
                ),
                served,
            ),
            steps=UNSURE,
            about="The share of the images whose answer is less probable than --low-confidence. "
            "Alert: FlatdenseConfidenceLow.",
        ),
        lines(
            "Confidence",
            "percentunit",
            (quantile(0.05, "flatdense_confidence", VERSION), f"p5 {served}"),
            (quantile(0.25, "flatdense_confidence", VERSION), f"p25 {served}"),
            (quantile(0.5, "flatdense_confidence", VERSION), f"p50 {served}"),
            most=1,
            about="How probable the answers are: 5, 25 and 50 in a hundred are below.",
        ),
        lines(
            "Entropy",
            "short",
            (mean("flatdense_entropy_nats", VERSION), served),
            about="In nats: 0 is sure; 2.3 is no idea which of ten classes it is.",
        ),
        lines(
            "Answers",
            "short",
            (rate("flatdense_predictions_total{MODEL}", "class"), "{{class}}"),
            stacked="share",
            about="What the model says.",
        ),
        lines(
            "Brightness",
            "percentunit",
            (mean("flatdense_input_mean", VERSION), served),
            about="The mean of all pixels. Of inverted images it is what is missing to 100 %.",
        ),
        lines(
            "Ink",
            "percentunit",
            (mean("flatdense_ink_share", VERSION), served),
            about="The share of the pixels that are brighter than one half.",
        ),
    )


def share_of_feature(rows: str) -> str:
    """What each bin has of all rows of its feature."""
    return f"{rows} / ignoring (bin) group_left sum by (feature) ({rows})"
