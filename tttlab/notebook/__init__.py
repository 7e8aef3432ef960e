"""The notebook: the magics `%%think` and `%%traces`, their completion, the live view and the lasting result.

`%load_ext tttlab` comes here. Nothing heavy is imported until a magic runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics and their completion. Harmless when done already."""
    from tttlab.notebook.completion import complete_options
    from tttlab.notebook.magics import TttlabMagics
    from tttlab.options import in_notebook

    unload_ipython_extension(shell)
    in_notebook(loaded=True)
    shell.register_magics(TttlabMagics)
    shell.Completer.custom_matchers.append(complete_options)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics and their completion away again. Harmless when they are not there."""
    from tttlab.notebook.completion import complete_options
    from tttlab.notebook.magics import TttlabMagics
    from tttlab.options import in_notebook

    in_notebook(loaded=False)
    manager = shell.magics_manager
    loaded = manager.registry.pop(TttlabMagics.__name__, None)
    if loaded is not None:
        loaded.close()
        for kind, names in TttlabMagics.magics.items():
            for name in names:
                manager.magics[kind].pop(name, None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if matcher is not complete_options]
