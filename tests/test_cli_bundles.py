"""`tttlab export`, `import` and replay on the command line, as somebody would use them."""

import subprocess
import sys
from pathlib import Path

TTTLAB = Path(sys.executable).with_name("tttlab")
ASKED = ["think", "What is 7 times 8?", "-m", "scripted", "-s", "self_consistency", "-p", "samples=3"]


def run(folder, *words, status=0):
    done = subprocess.run([TTTLAB, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_a_run_is_exported_imported_elsewhere_and_replayed_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TTTLAB_TRACES", "here")
    run(tmp_path, *ASKED)
    assert run(tmp_path, "export", "--to", "bundles/one").startswith("exported 1 run to bundles/one")
    assert "there is no run 'nothere'" in run(tmp_path, "export", "nothere", "--to", "bundles/two", status=1)
    monkeypatch.setenv("TTTLAB_TRACES", "there")
    assert run(tmp_path, "import", "bundles/one").startswith("imported 1 run into")
    assert run(tmp_path, "import", "bundles/one").strip().endswith("; 1 already there")
    assert "replayed 3 of 3 calls, 0 new tokens" in run(tmp_path, *ASKED, "--replay", "only")
    assert "is no bundle: it has no bundle.json" in run(tmp_path, "import", "there", status=1)
