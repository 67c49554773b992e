"""`./scripts/demo --smoke`: one round of everything, in one line."""

import json
import subprocess

from tests.house.stage import ROOT


def test_smoke_says_in_one_line_that_all_is_right() -> None:
    done = subprocess.run(
        [ROOT / "scripts/demo", "--smoke"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["light_is_on"] is True
    assert result["prompt"]["name"] == "home"
    assert len(result["trace_spans"]) >= 4
    assert result["trace_id"].startswith("tr-")
    assert result["promptlab_run_id"]
    assert result["reasoned"] == "off"
    assert any(span.startswith("CHAT_MODEL") for span in result["reasoned_trace_spans"])
