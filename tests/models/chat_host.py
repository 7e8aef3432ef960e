"""A host of chat completions on loopback, and a model that asks it."""

from __future__ import annotations

import json

from tests.models.loopback import Reply
from tests.models.test_faults import model_of
from tests.models.wire.healthy import texts_of
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.types import Capabilities

CHAT = OpenAiChat()
WHOLE = Reply(texts_of(CHAT))
DRAWS = Capabilities(n=True, seed=True, takes=("temperature", "stop"))


def chat(address, **options):
    return model_of(CHAT, address, **options)


def choice(index, text="", finish=None):
    delta = {"content": text} if text else {}
    return "data: " + json.dumps({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}) + "\n\n"


DONE = "data: [DONE]\n\n"
