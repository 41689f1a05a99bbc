"""How panels look: one function for each kind, over Grafana's own SDK."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueTextMode,
    GraphThresholdsStyleMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    FieldColorModeId,
    Panel,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode
from queries import fill

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

WIDE: Final = 24
"""Columns of a row."""

Steps: TypeAlias = tuple[tuple[float | None, str], ...]
"""Colours, each from a value on; the first from None."""

Named: TypeAlias = dict[str, tuple[str, str]]
"""What stands for a value: a text and a colour."""

AnyPanel: TypeAlias = Builder[Panel]

Looking = TypeVar("Looking", stat.Panel, timeseries.Panel, bargauge.Panel, statetimeline.Panel)

NO_STEPS: Final[Steps] = ((None, "blue"),)


def query(
    expression: str, legend: str = "", *, now: bool = False, number: int = 0
) -> prometheus.Dataquery:
    """A query over the time that is shown, or of now alone; the `number`-th of its panel."""
    target = prometheus.Dataquery().expr(fill(expression)).legend_format(legend or "__auto")
    target = target.ref_id(chr(ord("A") + number)).datasource(SOURCE)
    return target.instant() if now else target.range()


def thresholds(steps: Steps) -> ThresholdsConfig:
    """Colours by value."""
    described = [Threshold(value, colour) for value, colour in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(described)


def mapping(named: Named) -> ValueMap:
    """What is shown instead of some values."""
    return ValueMap(
        options={
            value: ValueMappingResult(text=said, color=colour)
            for value, (said, colour) in named.items()
        }
    )


def frame(panel: Looking, title: str, unit: str, about: str, width: int, height: int) -> Looking:
    """What all panels have."""
    return (
        panel.title(title)
        .description(about)
        .unit(unit)
        .datasource(SOURCE)
        .span(width)
        .height(height)
    )


def number(
    title: str,
    expression: str,
    unit: str = "short",
    *,
    about: str,
    steps: Steps = NO_STEPS,
    width: int = 3,
    named: Named | None = None,
) -> AnyPanel:
    """One figure, the last one."""
    panel = frame(stat.Panel(), title, unit, about, width, 4)
    if named:
        panel = panel.mappings([mapping(named)])
    return (
        panel.with_target(query(expression))
        .thresholds(thresholds(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.VALUE)
    )


def name(title: str, expression: str, legend: str, *, about: str, width: int = 3) -> AnyPanel:
    """What a figure that is there now is called by its legend; the figure does not matter."""
    return (
        frame(stat.Panel(), title, "short", about, width, 4)
        .with_target(query(expression, legend, now=True))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(BigValueColorMode.NONE)
        .text_mode(BigValueTextMode.NAME)
    )


def lines(
    title: str,
    unit: str,
    *queries: tuple[str, str],
    about: str,
    steps: Steps = (),
    width: int = 8,
    stacked: Literal["no", "sum", "share"] = "no",
    most: float | None = None,
    logarithmic: bool = False,
) -> AnyPanel:
    """Figures over time, from (query, legend) pairs; `steps` are drawn as lines."""
    legend = common.VizLegendOptions().show_legend(True).placement(LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = (
        frame(timeseries.Panel(), title, unit, about, width, 8)
        .targets([query(*each, number=number) for number, each in enumerate(queries)])
        .legend(legend.display_mode(LegendDisplayMode.LIST).calcs(["lastNotNull"]))
        .tooltip(tooltip)
        .show_points(VisibilityMode.NEVER)
        .line_width(1)
        .fill_opacity(60 if stacked != "no" else 8)
    )
    if not logarithmic:
        panel = panel.min(0)
    if most is not None:
        panel = panel.max(most)
    if stacked != "no":
        mode = StackingMode.NORMAL if stacked == "sum" else StackingMode.PERCENT
        panel = panel.stacking(common.StackingConfig().mode(mode).group("A"))
    if logarithmic:
        scale = common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
        panel = panel.scale_distribution(scale)
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(thresholds(steps)).thresholds_style(style)
    return panel


def distribution(title: str, unit: str, expression: str, *, about: str) -> AnyPanel:
    """How often which value came: a query by `le`, as a heat map."""
    target = query(expression, "{{le}}").format(PromQueryFormat.HEATMAP)
    colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64)
    return (
        heatmap.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target)
        .calculate(False)
        .color(colours)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(HeatmapCellLayout.LE))
        .span(12)
        .height(8)
    )


def states(title: str, expression: str, legend: str, *, about: str) -> AnyPanel:
    """What is 1, and since when."""
    return (
        frame(statetimeline.Panel(), title, "short", about, 12, 8)
        .with_target(query(expression, legend))
        .mappings([mapping({"1": ("yes", "green")})])
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .legend(common.VizLegendOptions().show_legend(False))
    )


def bars(title: str, unit: str, expression: str, legend: str, *, about: str) -> AnyPanel:
    """Figures side by side, as they are now."""
    return (
        frame(bargauge.Panel(), title, unit, about, 8, 8)
        .with_target(query(expression, legend, now=True))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .min(0)
        .thresholds(thresholds(NO_STEPS))
    )


def listing(
    title: str, expression: str, *, about: str, hidden: Sequence[str] = (), width: int = 8
) -> AnyPanel:
    """The labels of what a query gives now, as a table."""
    target = query(expression, now=True).format(PromQueryFormat.TABLE)
    without = {"excludeByName": dict.fromkeys(("Time", "Value", "__name__", "job", *hidden), True)}
    return (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target)
        .with_transformation(DataTransformerConfig(id_val="organize", options=without))
        .span(width)
        .height(8)
    )


def page(title: str, markdown: str) -> AnyPanel:
    """A text, across the whole dashboard."""
    return text.Panel().title(title).mode(TextMode.MARKDOWN).content(markdown).span(WIDE).height(30)
