"""Which model answers, and which version of it."""

from flatdense_proto.v1.classifier_pb2 import ModelSelector


def select_model(name: str, version: int | None, label: str | None) -> ModelSelector:
    """Names a model by one of its versions, or by a label that means one; else by neither.

    Raises ValueError: both are given, the label is none, or the version is no 64-bit number.
    """
    if version is not None and label is not None:
        msg = (
            f"model_version is {version} and model_label is {label!r}: they exclude each other; "
            "give one of them"
        )
        raise ValueError(msg)
    selector = ModelSelector(name=name)
    if version is not None:
        selector.version = version
    if label is not None:
        selector.label = check_label(label)
    return selector


def check_label(label: str) -> str:
    """Gives a label back as it is.

    Raises ValueError: it is empty, or has characters that cannot be shown.
    """
    if label and label.isprintable():
        return label
    msg = f"{label!r} is no label: expected a name, such as stable or canary"
    raise ValueError(msg)
