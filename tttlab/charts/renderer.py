"""How charts are drawn: without a network, in JupyterLab and wherever else a notebook is read.

Altair 6 writes Vega-Lite 6, which JupyterLab (4.6 and before) does not draw by itself, and its own default renderer
fetches its scripts from the network. tttlab's charts use nothing that Vega-Lite 5.6 lacks, so they are given to the
front end as `application/vnd.vegalite.v5+json`, which it draws with what it brings along; an image of the chart stands
beside it for everything else that shows notebooks (nbconvert, GitHub, viewers without scripts).

tttlab's charts draw themselves this way while altair's renderer is its default one. A renderer that the user enabled,
`alt.renderers.enable("svg")`, say, is used instead. `alt.renderers.enable("tttlab")` draws every altair chart this way,
those that were put together from tttlab's (`curve(a) | curve(b)`) included. A renderer that writes HTML fetches its
scripts from the network; the data of tttlab's charts is inert in it too.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import altair as alt
from altair.utils.mimebundle import spec_to_mimebundle

from tttlab.charts.look import CONFIG

MIME = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
EMBED_OPTIONS = {
    "renderer": "svg",
    # The menu keeps what saves the image; its other entries would show the data to a site on the network.
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
}
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Bundle = tuple[dict[str, Any], dict[str, Any]]


def offline(spec: dict[str, Any], **_: Any) -> Bundle:
    """An altair renderer: the chart for front ends that draw Vega-Lite 5, and its image for those that don't.

    The image is SVG: a PNG of a long token strip would be ten times larger in the notebook.
    """
    data: dict[str, Any] = {MIME: {**spec, "$schema": SCHEMA}, "text/plain": _said(spec)}
    try:
        data |= spec_to_mimebundle(_legal(spec), format="svg", mode="vega-lite")
    except ValueError as error:
        warnings.warn(f"the chart has no image beside it: {error}", stacklevel=2)
    return data, {MIME: {"embed_options": EMBED_OPTIONS}}


class OfflineChart(alt.LayerChart):
    """An altair chart that has tttlab's look where it stands alone, and is drawn by `offline` unless the user chose."""

    def to_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        """The chart as Vega-Lite. What was configured, by the user or by an altair theme, goes before tttlab's look."""
        spec: dict[str, Any] = super().to_dict(*args, **options)
        # Only a whole chart names its schema. A part of one must not have a configuration: then it could be no part.
        if "$schema" in spec:
            chosen = spec.get("config", {})
            spec["config"] = {**chosen, **{key: _under(look, chosen.get(key)) for key, look in CONFIG.items()}}
        return spec

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> Any:
        if alt.renderers.active != "default":
            return super()._repr_mimebundle_(*args, **options)
        return offline(self.to_dict())


def _legal(value: Any) -> Any:
    """The spec without characters that XML forbids: met with one in any text, vl-convert 1.9 aborts the process."""
    if isinstance(value, str):
        return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_legal(key): _legal(each) for key, each in value.items()}
    return [_legal(each) for each in value] if isinstance(value, list) else value


def _under(look: Any, chosen: Any) -> Any:
    return {**look, **(chosen or {})} if isinstance(look, dict) else chosen or look


def _said(spec: dict[str, Any]) -> str:
    return f"<chart: {spec['description']}>" if spec.get("description") else "<altair chart>"


alt.renderers.register("tttlab", offline)
