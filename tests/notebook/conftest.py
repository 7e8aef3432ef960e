"""One kernel for all tests of the notebook, since starting one takes seconds; its models are scripted."""

from __future__ import annotations

import os

import pytest

from tests.notebook.kernel import running_kernel

FORGET = """
for name in [name for name in globals() if not name.startswith("_") and name not in get_ipython().user_ns_hidden]:
    del globals()[name]
del name
"""

SETUP = """
%load_ext tttlab
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.types import Price

quick = ScriptedModel(Reply(text="I say so. The answer is 56.", thinking="seven times eight"))
stalls = ScriptedModel(Reply(text="The answer is 56. And then", thinking="well", stall_after=6))
fails = ScriptedModel(Reply(text="a b c d", fail_after=2))
one_stalls = ScriptedModel(
    lambda request: Reply(text="The answer is 56.", stall_after=None if request.seed % 4 else 2), name="one_stalls"
)
slow = ScriptedModel(Reply(text=" ".join(map(str, range(12))), thinking="hm let me think", seconds_per_token=0.05))
a, b = 7, 8
"""


@pytest.fixture(scope="session")
def shared_kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    before = os.environ.get("TTTLAB_TRACES")
    os.environ["TTTLAB_TRACES"] = str(folder / "traces")
    try:
        with running_kernel(folder) as started:
            yield started
    finally:
        os.environ.pop("TTTLAB_TRACES")
        if before is not None:
            os.environ["TTTLAB_TRACES"] = before


@pytest.fixture
def kernel(shared_kernel):
    """The kernel with the extension loaded and the models above; what a test binds is its own."""
    shared_kernel.run(FORGET)
    ran = shared_kernel.run(SETUP)
    assert ran.status == "ok", ran.streams
    return shared_kernel
