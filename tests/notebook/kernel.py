"""A real Jupyter kernel for tests: runs cells, interrupts them, and tells everything that came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty

from jupyter_client.manager import KernelManager

PATIENCE = 60


@dataclass(slots=True)
class Ran:
    """What came of a cell."""

    status: str
    ename: str | None
    evalue: str | None
    payload: list[dict]
    messages: list[dict] = field(default_factory=list)

    def of(self, *kinds: str) -> list[dict]:
        return [message["content"] for message in self.messages if message["msg_type"] in kinds]

    @property
    def streams(self) -> str:
        return "".join(content["text"] for content in self.of("stream"))

    @property
    def tracebacks(self) -> list[str]:
        return ["\n".join(content["traceback"]) for content in self.of("error")]

    @property
    def bundles(self) -> list[dict]:
        """What stands in the cell at the end: each display as it was last updated, then the result."""
        shown: dict[object, dict] = {}
        for number, content in enumerate(self.of("display_data", "update_display_data", "execute_result")):
            shown[content.get("transient", {}).get("display_id", number)] = content["data"]
        return [data for data in shown.values() if data]

    @property
    def plain(self) -> str:
        return "\n".join(data["text/plain"] for data in self.bundles)

    @property
    def html(self) -> str:
        return "\n".join(data.get("text/html", "") for data in self.bundles)

    @property
    def news(self) -> list[dict]:
        return [news for message in self.messages if (news := news_in(message))]


class Kernel:
    """Cells go in, `Ran` comes out."""

    def __init__(self, manager, client) -> None:
        self.manager = manager
        self.client = client

    def run(
        self, code: str, *, when: Callable[[dict], object] = lambda _: False, then: Callable = lambda _: None
    ) -> Ran:
        """Run a cell to its end. At the first message for which `when` holds true, `then` is called with it, once."""
        request = self.client.execute(code)
        messages, waiting, ended = [], True, time.monotonic() + PATIENCE
        while time.monotonic() < ended:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            messages.append(message)
            if waiting and when(message):
                waiting = False
                then(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        content = self._reply(self.client.get_shell_msg, request)
        return Ran(content["status"], content.get("ename"), content.get("evalue"), content.get("payload", []), messages)

    def value(self, expression: str) -> str:
        """The text of an expression's value."""
        return self.run(f"print(({expression}))").streams.strip()

    def interrupt(self, _: object = None) -> None:
        self.manager.interrupt_kernel()

    def complete(self, code: str) -> list[str]:
        return self._reply(self.client.get_shell_msg, self.client.complete(code, len(code)))["matches"]

    def subshell(self) -> str:
        """A new subshell, as JupyterLab opens one for the messages of widgets."""
        message = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(message)
        return self._reply(self.client.get_control_msg, message["header"]["msg_id"])["subshell_id"]

    def send(self, comm_id: str, content: dict, subshell: str) -> None:
        """Send what a widget's view sends, through a subshell."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    @staticmethod
    def _reply(get: Callable, request: str) -> dict:
        while (message := get(timeout=PATIENCE))["parent_header"].get("msg_id") != request:
            pass
        return message["content"]


@contextmanager
def running_kernel(folder):
    """A kernel that runs in a folder."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        with_nothing_waiting(client)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def with_nothing_waiting(client) -> None:
    try:
        while True:
            client.get_iopub_msg(timeout=0)
    except Empty:
        return


def news_in(message: dict) -> dict | None:
    """What a message tells the live view, if it does."""
    if message["msg_type"] != "comm_msg":
        return None
    content = message["content"]["data"].get("content", {})
    return content if content.get("type") == "news" else None
