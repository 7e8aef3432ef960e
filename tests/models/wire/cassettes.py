"""Recorded exchanges with real hosts, read where they are kept, and what each says by its own words."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.models.wire.formats import FORMATS

FOLDER = Path(os.environ.get("TTTLAB_CASSETTES", Path(__file__).parents[4] / "shared" / "cassettes"))

_WIRES = {
    ("api.anthropic.com", ""): "anthropic",
    ("generativelanguage.googleapis.com", ""): "gemini",
    ("api.openai.com", "responses"): "openai_responses",
    ("openrouter.ai", "responses"): "openai_responses",
    ("openrouter.ai", "chat"): "openrouter",
    ("api.mistral.ai", ""): "mistral",
}
_HOSTS = {
    ("api.groq.com", ""): "groq",
    ("api.deepseek.com", ""): "deepseek",
    ("router.huggingface.co", ""): "huggingface",
    ("localhost", ""): "ollama-v1",
}


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    name: str
    uri: str
    asked: dict
    status: int
    body: bytes
    stream: bool

    @property
    def row(self):
        """The format and the model; None where no format of that name is there."""
        parts = urlsplit(self.uri)
        for (host, word), name in _HOSTS.items():
            if parts.hostname == host and word in parts.path:
                return FORMATS.get(name)
        for (host, word), prefix in _WIRES.items():
            if parts.hostname == host and word in parts.path:
                return next((row for row in FORMATS.values() if row[0].name.startswith(prefix)), None)
        return None

    def objects(self):
        """The JSON objects of its body, one a frame."""
        if not self.stream:
            return [json.loads(self.body)]
        lines = self.body.decode().splitlines()
        return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line[5:].strip() != "[DONE]"]

    def said(self):
        """The thinking and the answer, put together from what the body holds."""
        found = {"thinking": "", "answer": ""}
        for each in self.objects():
            for channel, text in _texts(each):
                found[channel] += text
        answer = found["answer"]
        if answer.lstrip().startswith("<think>"):
            found["thinking"], _, found["answer"] = answer.lstrip().removeprefix("<think>").partition("</think>")
        return found["thinking"].strip(), found["answer"].strip()


def exchanges():
    """Every one of them; none where the folder is not there."""
    return [exchange for path in sorted(FOLDER.glob("*.yaml")) for exchange in _read(path)]


def _read(path):
    import yaml

    for number, each in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]):
        asked, answer = each["request"], each["response"]
        whole = answer.get("parsed_body")
        body = json.dumps(whole) if whole is not None else answer["body"]["string"]
        body = body if isinstance(body, bytes) else body.encode()
        kinds = {name.lower(): value for name, value in answer["headers"].items()}["content-type"]
        yield Exchange(
            f"{path.stem}-{number}",
            asked["uri"],
            asked.get("parsed_body") or {},
            answer["status"]["code"],
            body,
            "event-stream" in str(kinds),
        )


def _texts(each):
    """The texts of one object, in the words of each host's own format."""
    for choice in each.get("choices") or []:
        yield from _of_chat(choice.get("delta") or choice.get("message") or {})
    for candidate in each.get("candidates") or []:
        for part in candidate.get("content", {}).get("parts", []):
            yield "thinking" if part.get("thought") else "answer", part.get("text", "")
    if each.get("object") == "response":
        yield from _of_response(each)
    yield from _of_event(each, str(each.get("type")))


def _of_event(each, kind):
    if kind.startswith("content_block_st"):
        yield from _of_block(each.get("content_block", {}))
    elif kind == "content_block_delta":
        yield from _of_block(each["delta"])
    elif kind == "message":
        for block in each["content"]:
            yield from _of_block(block)
    elif kind == "response.output_text.delta":
        yield "answer", each["delta"]
    elif kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
        yield "thinking", each["delta"]
    elif kind == "response.reasoning_summary_part.added" and each["summary_index"] > 0:
        yield "thinking", "\n\n"


def _of_chat(message):
    yield "thinking", message.get("reasoning_content") or message.get("reasoning") or ""
    content = message.get("content") or ""
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "thinking":
            yield "thinking", "".join(inner["text"] for inner in part["thinking"])
        else:
            yield "answer", part["text"]


def _of_block(block):
    yield "thinking", block.get("thinking", "")
    yield "answer", block.get("text", "")


def _of_response(response):
    for item in response["output"]:
        if item["type"] == "reasoning":
            yield "thinking", "\n\n".join(part["text"] for part in item["summary"])
        elif item["type"] == "message":
            yield "answer", "".join(part["text"] for part in item["content"])
