"""The picture in ARCHITECTURE.md, held true."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tttlab

PACKAGE = Path(tttlab.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module may import its own layer and those after it. A folder is one layer.
LAYERS = [
    ["training", "quickstart", "otlp_commands", "store_commands", "lake_commands", "models_command", "run_page", "cli"],
    ["notebook"],
    ["charts"],
    ["experiments"],
    ["thinking", "allocation"],
    ["auto"],
    ["portal"],
    ["runner"],
    ["plan"],
    ["recording", "run"],
    ["provenance", "session", "abilities"],
    ["sampling", "verification"],
    ["call", "branches", "execution", "concurrency"],
    ["replay"],
    ["strategies", "verifiers", "models", "parameters"],
    ["store", "sandbox"],
    ["tracing"],
    ["naming", "meter", "progress", "protocols", "identity"],
    ["budget", "events", "clock", "order"],
    ["types", "options"],
    ["answers", "checks", "countdown", "labels", "programs"],
    ["arithmetic"],
    ["errors"],
    ["masking"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
VALUES = {"answers", "budget", "checks", "errors", "events", "programs", "protocols", "types"}


def imported(path, *, everywhere):
    """The tttlab modules that a file imports: at its top, or `everywhere` in it; never those for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    nodes = ast.walk(tree) if everywhere else tree.body
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tttlab":
            if node.module == "tttlab":
                yield from (alias.name for alias in node.names)
            else:
                yield node.module.removeprefix("tttlab.")
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("tttlab.") for a in node.names if a.name.startswith("tttlab."))


def layer_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    own = layer_of(path)
    if own == "__init__":
        return
    upwards = [name for name in imported(path, everywhere=True) if RANK[name.split(".")[0]] < RANK[own]]
    # A run imports its display when it is shown, and `auto` is chosen from measurements; ARCHITECTURE.md says so.
    allowed = {("run", "notebook.display"), ("auto", "experiments.choosing")}
    assert [(own, name) for name in upwards if (own, name) not in allowed] == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "strategies").glob("*.py")), ids=lambda path: path.stem)
def test_a_strategy_cannot_do_io(path):
    standard = {
        alias
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for alias in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    pure = {
        "__future__",
        "collections",
        "collections.abc",
        "dataclasses",
        "functools",
        "math",
        "random",
        "typing",
        "itertools",
        "re",
        "statistics",
    }
    values = VALUES | {"strategies.selection", "strategies.steps"}
    if path.stem == "__init__":
        pure |= {"importlib", "inspect", "pkgutil"}
        values |= {"naming", "parameters"}
    for name in standard:
        if name.startswith("tttlab"):
            inner = name.removeprefix("tttlab.")
            assert inner in values, f"{path.name} imports {name}"
        else:
            assert name in pure, f"{path.name} imports {name}"


def test_every_module_has_a_layer_and_a_reason():
    assert {layer_of(path) for path in MODULES} - {"__init__"} == set(RANK)
    undocumented = [
        str(p) for p in MODULES if p.stat().st_size and not ast.get_docstring(ast.parse(p.read_text("utf-8")))
    ]
    assert undocumented == []


def test_no_file_is_over_400_lines():
    assert [str(p) for p in MODULES if len(p.read_text("utf-8").splitlines()) > 400] == []


def test_the_public_names_are_these_and_all_are_there():
    assert tttlab.__all__ == sorted(
        [
            "Allocation",
            "Answer",
            "Budget",
            "Completion",
            "Message",
            "Model",
            "Problem",
            "Run",
            "ScriptedModel",
            "Strategy",
            "Task",
            "Think",
            "TttlabError",
            "Usage",
            "Verdict",
            "Verifier",
            "aallocate",
            "allocate",
            "athink",
            "configure",
            "connect",
            "flush",
            "grid",
            "load_ipython_extension",
            "model",
            "sweep",
            "think",
            "tracer_provider",
            "unload_ipython_extension",
        ]
    )
    for name in tttlab.__all__:
        assert getattr(tttlab, name) is not None


def test_importing_the_package_imports_nothing_heavy():
    heavy = [
        "opentelemetry",
        "duckdb",
        "pyarrow",
        "altair",
        "ipywidgets",
        "anywidget",
        "anyio",
        "httpx",
        "xllamacpp",
        "IPython",
    ]
    code = f"import tttlab, tttlab.notebook, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
