"""The page for people who open the HTTP port in a browser."""

from html import escape
from string import Template
from typing import Final

from flatdense_proto.v1 import classifier_pb2 as pb

from flatdense_server.http.backend import Backend, BackendUnavailable

PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>flatdense · $model</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 42rem; margin: 4rem auto; padding: 0 1.5rem; }
  h1 { font-weight: 600; margin-bottom: 0; }
  table { border-collapse: collapse; margin: 1.5rem 0; width: 100%; }
  th, td { text-align: left; padding: .35rem 1rem .35rem 0; border-bottom: 1px solid #8884; }
  th { font-weight: 500; opacity: .7; width: 14rem; }
  code { font-size: .95em; }
</style>
<h1>$model</h1>
<p>$state</p>
<table>$rows</table>
<p><a href="/metrics">metrics</a> · <a href="/healthz">live</a> · <a href="/readyz">ready</a>
 · <a href="/openapi.json">REST</a></p>
</html>
""")


def render_page(backend: Backend) -> str:
    """The page as HTML: what is served, or why nothing is."""
    try:
        model = backend.get_model()
    except BackendUnavailable as error:
        return PAGE.substitute(model=escape(backend.model_name), state=escape(str(error)), rows="")
    serving = model.serving
    described = {
        "version": model.version,
        **describe_facts(model),
        "engine": f"{serving.engine} on {serving.device}",
        "compiled batch sizes": ", ".join(map(str, serving.ladder_rows)),
        "rows a request": f"1 to {serving.max_request_rows:,}",
        **{f"version {status.version}": describe_status(status) for status in model.versions},
    }
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in described.items()
    )
    return PAGE.substitute(model=escape(model.name), state="serving", rows=rows)


def describe_facts(model: pb.GetModelResponse) -> dict[str, str]:
    """What is known of a version, for the table."""
    described = {"parameters": f"{model.parameters:,}"}
    if model.layers:
        described["network"] = " → ".join(
            f"{layer.kind} {'x'.join(map(str, layer.output_shape))}" for layer in model.layers
        )
    if model.HasField("training"):
        training = model.training
        described["trained on"] = f"{training.dataset}, {training.train_rows:,} images"
        if "test_accuracy" in training.metrics:
            described["test accuracy"] = f"{training.metrics['test_accuracy']:.2%}"
    if model.unchecked:
        described["not checked"] = " ".join(model.unchecked)
    return described


def describe_status(status: pb.VersionStatus) -> str:
    """Where a version is, what it is called, and why it failed."""
    return " ".join(filter(None, (status.state, *status.labels, status.reason)))
