"""Writes dashboards/flatdense.json, or the file that is named: what Grafana shows of a service.

The rows are in service.py, model.py and machine.py; `make dashboard` runs this. The runbook comes
from docs/operations.md.
"""

import re
import sys
from pathlib import Path
from typing import Final

import machine
import model
import service
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from panels import SOURCE, page
from queries import fill

HERE: Final = Path(__file__).parent
FILE: Final = HERE / "dashboards" / "flatdense.json"
OPERATIONS: Final = HERE.parents[1] / "docs" / "operations.md"

NAME: Final = "flatdense"

ROWS: Final = (
    ("Overview", service.overview),
    ("Latency", service.latency),
    ("Throughput", service.throughput),
    ("Overload", service.overload),
    ("Model", model.versions),
    ("Prediction health", model.health),
    ("Workers and processes", machine.processes),
    ("Security", machine.security),
)

VARIABLES: Final = (
    ("job", "label_values(flatdense_build_info, job)", ".+"),
    ("instance", 'label_values(flatdense_build_info{job=~"$job"}, instance)', ".+"),
    ("model", "label_values(flatdense_model_state{SERVER}, model)", ".*"),
    ("version", 'label_values(flatdense_model_state{SERVER,model=~"$model"}, version)', ".*"),
)
"""What can be chosen: the name, where its values come from, and what matches all of them. Calls
that ended before their version was known have an empty one."""


def main(file: Path) -> None:
    """Writes it."""
    file.write_text(JSONEncoder(indent=2).encode(make_dashboard()) + "\n")


def make_dashboard() -> Dashboard:
    """Every row; its panels have their numbers as ids."""
    board = (
        grafana.Dashboard(NAME)
        .uid(NAME)
        .description("One classifier, from its calls to the worth of its answers.")
        .tags([NAME])
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(grafana.DatasourceVariable("datasource").type("prometheus"))
        .annotation(
            grafana.AnnotationQuery()
            .name("Alerts")
            .datasource(SOURCE)
            .icon_color("red")
            .expr('ALERTS{alertname=~"Flatdense.+",alertstate="firing"}')
        )
    )
    for name, query, everything in VARIABLES:
        board = board.with_variable(choice(name, query, everything))
    for title, make in ROWS:
        board = board.with_row(grafana.Row(title))
        for panel in make():
            board = board.with_panel(panel)
    board = board.with_row(grafana.Row("Runbook")).with_panel(page("Runbook", read_runbook()))
    built = board.build()
    panels = built.panels or []
    for number, each in enumerate(panels, 1):
        each.id_val = number
    link = grafana.DashboardLink("Runbook").type(DashboardLinkType.LINK).icon("doc")
    link = link.url(f"/d/{NAME}/{NAME}?viewPanel=panel-{len(panels)}")
    built.links = [link.tooltip("What to do about each alert").build()]
    return built


def choice(name: str, query: str, everything: str) -> grafana.QueryVariable:
    """A variable: none, one or several values of a label, all at first."""
    return (
        grafana.QueryVariable(name)
        .datasource(SOURCE)
        .query({"query": fill(query), "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NUMERICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(everything)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def read_runbook() -> str:
    """The runbook's chapter, without its links: Grafana does not have those files."""
    chapter = OPERATIONS.read_text().split("\n## Runbook\n")[1].split("\n## ")[0]
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", chapter).strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
