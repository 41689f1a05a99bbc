"""The page for people who open the HTTP port in a browser."""

from html import escape
from string import Template
from typing import Final

from flatdense_server.errors import RequestError
from flatdense_server.models.registry import Registry
from flatdense_server.summary import ModelFacts, VersionStatus

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
<p><a href="/metrics">metrics</a> · <a href="/healthz">live</a> · <a href="/readyz">ready</a></p>
</html>
""")


def render_page(registry: Registry) -> str:
    """The page as HTML: what is served, or why nothing is."""
    try:
        model = registry.summarize(registry.resolve())
    except RequestError as error:
        return PAGE.substitute(model=escape(registry.model_name), state=escape(str(error)), rows="")
    described = {
        "version": model.version,
        **describe_facts(model.facts),
        "engine": f"{model.engine} on {model.device}",
        "compiled batch sizes": ", ".join(map(str, model.ladder_rows)),
        "rows a request": f"1 to {model.max_request_rows:,}",
        **{f"version {status.version}": describe_status(status) for status in model.versions},
    }
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in described.items()
    )
    return PAGE.substitute(model=escape(model.name), state="serving", rows=rows)


def describe_facts(facts: ModelFacts) -> dict[str, str]:
    """What is known of a version, for the table."""
    described = {"parameters": f"{facts.parameters:,}"}
    if facts.layers:
        described["network"] = " → ".join(
            f"{layer.kind} {'x'.join(map(str, layer.output_shape))}" for layer in facts.layers
        )
    if facts.training:
        run = facts.training
        described["trained on"] = f"{run.dataset}, {run.train_rows:,} images"
    if facts.metrics:
        described["test accuracy"] = f"{facts.metrics.test_accuracy:.2%}"
    if facts.unchecked:
        described["not checked"] = " ".join(facts.unchecked)
    return described


def describe_status(status: VersionStatus) -> str:
    """Where a version is, what it is called, and why it failed."""
    return " ".join(filter(None, (status.state, *status.labels, status.reason)))
