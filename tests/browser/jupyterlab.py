"""JupyterLab in a real browser: a server of its own, one page, and notebooks that are opened, run and read in it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat

TOKEN = "tttlab"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No name resolves but the loopback's, so that nothing can leave the machine, whatever asks for it.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},
    # Every cell is in the page, in sight or not.
    "notebook-extension/tracker": {"windowingMode": "none"},
}

OTHERS = {"jupysql-plugin": True}
"""Extensions of other packages that fail by themselves."""


def chromium() -> str | None:
    """Where Chromium is, or None."""
    given = os.environ.get("TTTLAB_CHROMIUM")
    return given or next((found for name in CHROMIUMS if (found := shutil.which(name))), None)


@dataclass(slots=True)
class Server:
    """A JupyterLab server on the loopback; `folder` is what it serves."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/api/status?token={TOKEN}", timeout=5).close()
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.05)
            else:
                return


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """A server whose settings, configuration, kernels' files and traces all lie under `home`."""
    folder, log = home / "notebooks", home / "server.log"
    folder.mkdir()
    for name, values in SETTINGS.items():
        file = home / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    (home / "config/labconfig").mkdir(parents=True)
    (home / "config/labconfig/page_config.json").write_text(json.dumps({"disabledExtensions": OTHERS}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.expose_app_in_browser": "True",
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": "",
        "IdentityProvider.token": TOKEN,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": "0",
        "ServerApp.root_dir": folder,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            env={**os.environ, **_environment(home)},
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Server(f"http://127.0.0.1:{port}", folder, process, log)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(home: Path) -> dict[str, str]:
    own = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "TTTLAB_TRACES": "traces",
    }
    return {name: str(home / folder) for name, folder in own.items()}


@dataclass(slots=True)
class Browser:
    """A page with JupyterLab in it. It keeps what was asked of other hosts, and what went wrong."""

    page: Any
    server: Server
    strayed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))
        page.on("pageerror", lambda error: self._failed(f"{error}\n{error.stack}"))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.strayed.append(url)

    def _failed(self, said: str) -> None:
        # ipywidgets expects that every notebook has a kernel; one that is only looked at has none.
        if not ("reading 'kernel'" in said and "@jupyter-widgets/jupyterlab-manager" in said):
            self.errors.append(said)

    def start(self) -> None:
        """Load JupyterLab."""
        self.page.goto(f"{self.server.url}/lab?token={TOKEN}&reset")
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate("window.jupyterapp.restored")

    def notebook(self, *cells: str) -> Notebook:
        """A new notebook with these cells, open, with its kernel idle."""
        name = f"{sum(1 for _ in self.server.folder.glob('*.ipynb'))}.ipynb"
        metadata = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=metadata)
        nbformat.write(made, self.server.folder / name)
        return self.open(name)

    def open(self, name: str, *, kernel: bool = True) -> Notebook:
        """Open a stored notebook; without a kernel, only what is stored in it is seen."""
        self.page.evaluate(_OPEN, [name, kernel])
        assert self.page.evaluate(_HAS_KERNEL) is kernel
        return Notebook(self.page, name)

    def close_notebooks(self) -> None:
        """Close what is open, and end its kernels."""
        self.page.evaluate(_CLOSE)


@dataclass(frozen=True, slots=True)
class Notebook:
    """An open notebook; cells count from 0."""

    page: Any
    name: str

    def cell(self, index: int) -> Any:
        """The cell in the page."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Any:
        """What the cell put out."""
        return self.cell(index).locator(".jp-OutputArea")

    def start(self, index: int) -> None:
        """Run the cell, without waiting for its end."""
        self.page.evaluate(_START, index)

    def wait(self, seconds: float = 60) -> None:
        """Until the cell that was started last has ended. Fails where it runs longer than this."""
        self.page.evaluate(_WAIT, seconds)

    def runs(self, index: int) -> bool:
        """Whether the cell runs at the moment, as its prompt has it."""
        return str(self.cell(index).locator(".jp-InputPrompt").inner_text()) == "[*]:"

    def run(self, *indices: int) -> None:
        """Run cells to their end, one after another."""
        for index in indices:
            self.start(index)
            self.wait()

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")

    def save(self) -> dict[str, Any]:
        """Save it; returns what is in its file."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
        return dict(self.page.evaluate("window.jupyterapp.shell.currentWidget.context.model.toJSON()"))

    def text(self, index: int) -> str:
        """The text of the cell's output."""
        return str(self.output(index).inner_text())


_OPEN = """async ([path, kernel]) => {
  const kernelPreference = kernel ? {} : {shouldStart: false, canStart: false, autoStartDefault: false};
  const panel = await window.jupyterapp.commands.execute('docmanager:open', {path, kernelPreference});
  await panel.context.ready;
  if (!kernel) return;
  await panel.sessionContext.ready;
  const own = panel.sessionContext.session.kernel;
  await own.info;
  while (own.status !== 'idle') await new Promise((done) => own.statusChanged.connect(() => done()));
}"""

_HAS_KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session !== null"

_CLOSE = """async () => {
  for (const panel of [...window.jupyterapp.shell.widgets('main')]) {
    if (!panel.sessionContext) continue;
    if (panel.sessionContext.session) await panel.sessionContext.shutdown();
    panel.dispose();
  }
}"""

_START = """(index) => {
  const app = window.jupyterapp;
  const notebook = app.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  notebook.deselectAll();
  window.tttlabRunning = app.commands.execute('notebook:run-cell');
  return null;
}"""

_WAIT = """(seconds) => Promise.race([window.tttlabRunning, new Promise((_, reject) =>
  setTimeout(() => reject(new Error(`the cell runs for more than ${seconds} s`)), 1000 * seconds))])"""
