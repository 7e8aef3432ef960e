"""Charts are drawn without a network or a browser, and nothing that a model wrote can act in what is drawn."""

import json
import os
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import altair as alt
import pytest

import tttlab
from tests.charts.teller import Teller, rows, saying, subtitle, think
from tttlab.charts import curve, run_tree, token_strip
from tttlab.charts.renderer import MIME
from tttlab.charts.shown_text import shown

CHARTS = {"curve": curve, "token_strip": token_strip, "run_tree": run_tree}
HOSTILE = [
    "</script><script>window.__pwned=1</script>",
    "<!--<SCRIPT>",
    '<img src=x onerror="window.__pwned=1">',
    '{"signal": "width"}',
    "datum.x === event",
    "__proto__",
    "constructor",
    "\x00\x1b[31m\x7f\u202e\u2028\ufffe",
    "]]>&amp;&#x3c;",
]


@pytest.fixture(autouse=True)
def default_renderer():
    with alt.renderers.enable("default"):
        yield


@pytest.fixture(params=CHARTS)
def chart_of(request):
    return CHARTS[request.param]


def hostile_run():
    text = " ".join(HOSTILE)
    model = Teller(
        lambda number, request: ([(each, 0.5) for each in HOSTILE], [("The answer is", 0.5), (f" {text}", 0.5)])
    )

    async def everywhere(problem, think):
        [completion] = await think.complete(problem.prompt)
        for each in HOSTILE:
            with think.branch() as branch:
                branch.mark(state=each, score=0.5)
                think.propose(each, confidence=0.5)
        think.propose(problem.extract(completion.text), confidence=0.5)

    return tttlab.think(text, strategy=everywhere, model=model, reference=HOSTILE[0])


def silent_run():
    async def silent(problem, think):
        pass

    return think(silent)


RUNS = {
    "one": lambda: think("direct"),
    "many": lambda: think("self_consistency", saying("54", "56"), samples=16, reference="56"),
    "silent": silent_run,
    "hostile": hostile_run,
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_chart_is_saved_as_svg_and_png(chart_of, kind, tmp_path):
    chart = chart_of(RUNS[kind]())
    chart.save(tmp_path / "chart.svg")
    chart.save(tmp_path / "chart.png")
    svg = ET.parse(tmp_path / "chart.svg").getroot()
    assert svg.tag.endswith("svg")
    texts = [element.text for element in svg.iter() if element.tag.endswith("text")]
    assert chart.to_dict()["title"]["text"] in texts
    assert (tmp_path / "chart.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_notebook_is_given_what_jupyterlab_draws_and_an_image_for_the_rest(chart_of):
    chart = chart_of(think())
    data, metadata = chart._repr_mimebundle_()
    assert set(data) == {MIME, "image/svg+xml", "text/plain"}
    assert "/vega-lite/v5" in data[MIME]["$schema"]
    assert {**data[MIME], "$schema": None} == {**chart.to_dict(), "$schema": None}
    assert metadata[MIME]["embed_options"]["actions"]["editor"] is False
    assert data["image/svg+xml"].startswith("<svg")
    assert chart.to_dict()["title"]["text"] in data["text/plain"]
    json.dumps(data, allow_nan=False)


def test_a_look_that_the_user_chose_goes_before_the_charts_own(chart_of):
    config = chart_of(think()).configure_title(fontSize=30).to_dict()["config"]
    assert (config["title"]["fontSize"], config["title"]["anchor"]) == (30, "start")


def test_a_renderer_that_the_user_chose_is_used(chart_of):
    chart = chart_of(think())
    with alt.renderers.enable("png"):
        data, _ = chart._repr_mimebundle_()
    assert set(data) == {"image/png"}
    with alt.renderers.enable("mimetype"):
        assert MIME not in chart._repr_mimebundle_()


def test_the_renderer_serves_any_altair_chart_by_its_name():
    run = think()
    mine = alt.Chart(alt.InlineData(values=[{"a": 1}])).mark_bar().encode(x="a:Q") | curve(run)
    assert "text/html" in mine._repr_mimebundle_()
    with alt.renderers.enable("tttlab"):
        data, _ = mine._repr_mimebundle_()
    assert data["image/svg+xml"].startswith("<svg")
    assert MIME in data


def test_a_chart_without_an_image_is_drawn_all_the_same():
    broken = {"mark": "nothing like it", "data": {"values": []}}
    with alt.renderers.enable("tttlab"), pytest.warns(UserWarning, match="no image beside it"):
        data, _ = alt.renderers.get()(broken)
    assert MIME in data
    assert "image/svg+xml" not in data


CONTROL = """
import altair as alt
from tttlab.charts.renderer import offline
values = [{"text": "a" + chr(code) + "b"} for code in (0, 27, 0xFFFE, 0xFFFF, 0xD800, 0x202E)]
chart = alt.Chart(alt.InlineData(values=values)).mark_text().encode(text="text:N", tooltip="text:N")
print(offline(chart.to_dict())[0]["image/svg+xml"].count("\N{REPLACEMENT CHARACTER}"))
"""


def test_control_characters_in_any_altair_chart_do_not_end_the_kernel():
    done = subprocess.run([sys.executable, "-c", CONTROL], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 5


class Scripts(HTMLParser):
    """Counts what a page would run."""

    def __init__(self):
        super().__init__()
        self.scripts = self.handlers = 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.handlers += sum(name.startswith("on") for name, _ in attrs) + (tag == "img")


def acting(page):
    parser = Scripts()
    parser.feed(page)
    parser.close()
    return parser.scripts, parser.handlers


def test_no_text_of_a_model_acts_in_an_image(chart_of):
    svg = chart_of(hostile_run())._repr_mimebundle_()[0]["image/svg+xml"]
    root = ET.fromstring(svg)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg",
        "rect",
        "g",
        "path",
        "text",
        "tspan",
        "line",
        "defs",
        "clipPath",
        "linearGradient",
        "stop",
    }
    assert not [name for element in root.iter() for name in element.attrib if name.lower().startswith("on")]
    assert acting(svg) == (0, 0)


def test_no_text_of_a_model_leaves_the_script_of_a_page(chart_of):
    plain, hostile = chart_of(think()), chart_of(hostile_run())
    assert acting(hostile.to_html()) == acting(plain.to_html())
    assert acting((hostile | hostile).to_html()) == acting((plain | plain).to_html())
    with alt.renderers.enable("html"):
        assert acting(hostile._repr_mimebundle_()["text/html"]) == acting(plain._repr_mimebundle_()["text/html"])


def test_hostile_text_is_data_and_stays_readable():
    run = hostile_run()
    cells = rows(token_strip(run), "rect")
    assert [cell["token"] for cell in cells if cell["channel"] == "thinking"][2:7] == [
        text.replace(" ", "␣") for text in HOSTILE[2:7]
    ]
    answers = [point["full"] for point in rows(curve(run, compute="seconds"), "point")]
    assert answers[: len(HOSTILE)] == [shown(text) for text in HOSTILE]
    texts = {text.text for text in ET.fromstring(run_tree(run)._repr_mimebundle_()[0]["image/svg+xml"]).iter()}
    assert f"{HOSTILE[3]} · score 0.5" in texts
    assert f"{HOSTILE[5]} · score 0.5" in texts


def test_text_without_danger_is_shown_as_it_is():
    for text in ("a < b", "</b>", "x<y", "漢字 😀", "Grüße", "<div>"):
        assert shown(text) == text
    assert shown("</ScRiPt>") == "\u2039/ScRiPt>"
    assert shown("a\x00b\u202ec") == "a\\x00b\\u202ec"
    assert shown("abcdef", 4) == "abc…"


KILLED = """
import os, signal
import tttlab
from tests.charts.teller import Teller

async def killed(problem, think):
    await think.complete(problem.prompt)
    think.propose("56", confidence=0.5)
    with think.branch():
        async with think.sample(problem.prompt, n=2) as samples:
            async for _ in samples:
                pass

streaming = set()

def watch(event):
    if type(event).__name__ == "Streamed":
        streaming.add(event.span_id)
    if len(streaming) == 3:
        tttlab.flush()
        os.kill(os.getpid(), signal.SIGKILL)

tttlab.think("What is 7 * 8?", strategy=killed, model=Teller(), observer=watch)
"""


def test_a_run_whose_process_was_killed_is_drawn_as_far_as_it_is_known():
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=Path(__file__).parents[2], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    [run_id] = [row[0] for row in tttlab.connect().execute("SELECT run_id FROM runs").fetchall()]
    tree, strip, line = run_tree(run_id), token_strip(run_id), curve(run_id)
    bars = {row["label"]: row for row in rows(tree, "rect", fill="kind")}
    assert [label for label, row in bars.items() if row["incomplete"]] == ["killed", "branch 0", "call 2", "call 3"]
    assert bars["call 1"]["remark"] == "56"
    assert all(row["end"] >= row["start"] for row in bars.values())
    assert "dashed: never ended" in subtitle(tree)
    heads = [row["said"] for row in rows(strip, "text", text="said")]
    assert [head for head in heads if "incomplete" in head] == [
        "call 2 · branch 0 · incomplete",
        "call 3 · branch 0 · incomplete",
    ]
    assert len(rows(strip, "rect")) == tttlab.connect().execute("SELECT count(*) FROM tokens").fetchall()[0][0] > 9
    assert [point["full"] for point in rows(line, "point")] == ["56"]
    for chart in (tree, strip, line):
        assert "(incomplete)" in subtitle(chart)
        assert chart._repr_mimebundle_()[0]["image/svg+xml"]


def test_importing_the_charts_imports_nothing_heavy():
    heavy = ["altair", "duckdb", "pyarrow", "pandas", "vl_convert", "opentelemetry"]
    code = f"import tttlab.charts, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
