"""The server makes no call to the internet: tried in a network that has nothing but loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tracking.process import ROOT, App

# Runs in the app's own process before anything else: notes every address that it asks for or calls.
WITNESS = """
import ipaddress, os, sys
def outside(host):
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in ("localhost", "")
def witness(event, arguments):
    host = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    if isinstance(host, bytes):
        host = host.decode()
    if host is not None and outside(host) and host != "0.0.0.0":
        with open(os.environ["WITNESS"], "a") as note:
            note.write(f"{event} {host}\\n")
sys.addaudithook(witness)
"""

# Runs in the network without an outside, with the app: what a home does in a day.
DAY = """
import asyncio, json, secrets, subprocess, sys, time
from pathlib import Path
from tests.tracking.process import App
from tests.tracking.test_record import otlp_trace

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
folder, environment = Path(sys.argv[1]), json.loads(sys.argv[2])

def priced(trace):
    body = otlp_trace(trace)
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        usage = json.dumps({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15})
        for key, value in (
            ("mlflow.spanType", "CHAT_MODEL"), ("mlflow.chat.tokenUsage", usage),
            ("mlflow.llm.model", "gpt-5"), ("mlflow.llm.provider", "openai"),
        ):
            span["attributes"].append({"key": key, "value": {"stringValue": value}})
    return body

async def day():
    with App(folder, environment=environment).running() as app:
        async with app.ingress_client() as browser:
            begun = time.monotonic()
            for _ in range(3):
                headers = {"x-mlflow-experiment-id": "0"}
                body = priced(secrets.token_hex(16))
                async with browser.post("/v1/traces", json=body, headers=headers) as answer:
                    assert answer.status == 200, await answer.text()
            slowest = time.monotonic() - begun
            for path in (
                "/", "/version",
                "/ajax-api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/ui-telemetry",
                "/ajax-api/3.0/mlflow/gateway/supported-providers",
                "/ajax-api/3.0/mlflow/gateway/supported-models?provider=openai",
                "/ajax-api/3.0/mlflow/gateway/provider-config?provider=openai",
            ):
                async with browser.get(path) as answer:
                    assert answer.status == 200, (path, answer.status, await answer.text())
            event = {"records": []}
            async with browser.post("/ajax-api/3.0/mlflow/ui-telemetry", json=event) as answer:
                assert answer.status == 200
    return slowest

print(json.dumps({"seconds_for_3_traces": asyncio.run(day())}))
"""


def test_a_day_without_the_internet(own_app: App, tmp_path: Path) -> None:
    alone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        assert not os.environ.get("CI"), "this machine allows no network namespace"
        pytest.skip("this machine allows no network namespace")
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    note = tmp_path / "note"
    environment = {"PYTHONPATH": str(tmp_path), "WITNESS": str(note)}
    done = subprocess.run(
        [*alone, sys.executable, "-c", DAY, str(own_app.folder), json.dumps(environment)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not note.exists(), note.read_text()
    assert json.loads(done.stdout.splitlines()[-1])["seconds_for_3_traces"] < 5


def test_the_witness_sees_a_call_to_the_outside(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    note = tmp_path / "note"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "WITNESS": str(note)}
    script = (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    )
    subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert "socket.connect 192.0.2.1" in note.read_text()
