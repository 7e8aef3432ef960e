"""Makes docs/models.md from the hosts' data: `python -m tests.models_page` writes it, a test compares."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tttlab.models.hosts import hosts
from tttlab.models.hosts.host import Host

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
INTRODUCTION = """\
# Models

A model has a name, `HOST:NAME`, that every `model=` and `-m` takes:

    anthropic:claude-opus-4-5                    a host that needs a key
    vllm:Qwen/Qwen3-8B                           a server of yours, at its usual address on this machine
    vllm:Qwen/Qwen3-8B@http://gpu.lan:8000       the same elsewhere
    openai-compatible:NAME@https://HOST/v1       anything that speaks OpenAI's Chat Completions
    local:smollm2, local:PATH.gguf               in this process
    scripted                                     says what it is told to, for tests

`tttlab models` and `%models` say which hosts have a key and answer; `tttlab models HOST` lists a host's models with
what each can do and costs; `tttlab models --probe NAME` asks one for a single token and says what came.

## Keys

The key of a host is looked for in its environment variable, then in `keys.toml` in the configuration folder
(`~/.config/tttlab` on Linux; the errors name it), a line for each host:

    anthropic = "sk-ant-..."

The file must be its owner's alone (mode 600), or it is refused. Where neither is there, and somebody sits at the
terminal or the notebook, the key is asked for once, and kept in memory for the process. A server of your own needs no
key; one in the file, under the host's name, is sent to it.

Known keys are hidden in all that is stored, shown or raised: those above, and the values of environment variables
named like `..._API_KEY` or `..._TOKEN`, of at least 8 characters. Each character of a key becomes a `•`, also where
it is split over several tokens; the id and the alternatives of such a token are left out, and `tttlab.masked` on its
span counts how many keys were hidden there. What a strategy is given is what the model said. A token that may be the
beginning of a key is written when it is known not to be one, at the latest when its call ends.

## Prices

Your own prices go first: `prices.toml` beside `keys.toml` (or where the option `prices` says), in dollars for a
million tokens, by name or pattern:

    ["anthropic:claude-opus-4-5*"]
    prompt = 5.0
    output = 25.0
    cached = 0.5

Then those of the [genai-prices](https://github.com/pydantic/genai-prices) library, which come with it and need no
network: `pip install -U genai-prices` brings new ones. Servers of your own cost nothing, unless your file says so; a
host that says what it charges is believed. Each cost is recorded with its source, the library's version and the day.
What nobody knows is recorded as unknown (NULL), not as zero. Where a price depends on more than the numbers of tokens
(prompts over some length cost more at some hosts), the lower one is taken, and the source says so.

## Abilities

What is known of a model decides what it is asked for: an option that it would refuse or ignore is an error, or left
out with a note on the call. Where a table is wrong, correct it: `tttlab.model("vllm:qwen3", can={"logprobs":
False})`.

## Models of other packages

A package adds models with an entry point in the group `tttlab.models`, a function of the name that gives a model:

    [project.entry-points."tttlab.models"]
    acme = "acme_models:model"       # acme:NAME is model("NAME")

## What each can do

Read from the hosts' documentation in the month that is given. The first line of a table that matches a model's name
holds; `*` stands for any characters. *Thinking* says that a channel of thinking is its own; what is shown of it is
recorded with each call. *Takes* lists the sampling options that have an effect.

This page is made from `tttlab/models/hosts/`: `python -m tests.models_page`.
"""
HEAD = ("model", "thinking", "n", "seed", "logprobs", "prefix", "budget", "effort", "takes")


def page() -> str:
    """The page as it should be."""
    return "\n".join([INTRODUCTION, *map(_section, hosts().values())])


def _section(host: Host) -> str:
    key = f"key: `{host.key_variable}`" if host.key_variable else "no key needed"
    where = f"`{host.address}`" if host.address else "an address that you give"
    moved = f" (or what `{host.address_variable}` says)" if host.address_variable else ""
    patterns = [*(row.pattern for row in host.rows), *([] if any(r.pattern == "*" for r in host.rows) else ["*"])]
    alike = groupby(patterns, key=lambda pattern: _cells(host, pattern))
    rows = [f"| {', '.join(f'`{each}`' for each in held)} | {' | '.join(cells)} |" for cells, held in alike]
    table = "\n".join([f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *rows])
    return f"### {host.name}\n\n{host.title}: {where}{moved}; {key}; as of {host.as_of}.\n\n{table}\n"


def _cells(host: Host, pattern: str) -> list[str]:
    row = next((each for each in host.rows if each.pattern == pattern), None)
    changed = dict(row.can) if row else {}
    can = {name: changed.get(name, getattr(host.can, name)) for name in host.can.__dataclass_fields__}
    flags = ("thinking", "n", "seed", "logprobs", "prefix", "thinking_budget")
    ticks = ["yes" if can[name] else "" for name in flags]
    return [*ticks, ", ".join(can["effort"]), ", ".join(can["takes"])]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
