"""pandas stays out of memory until it is used, and then is the real one for everybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tracking.process import App
from tests.tracking.test_start import pss_mb

SCRIPT = """
import sys
from mlflow_tracking.deferred import defer
defer("pandas", ("DataFrame",))
loaded = lambda: "pandas.core.frame" in sys.modules

import pandas as pd
def annotated(table: pd.DataFrame | None, when: pd.Timedelta) -> pd.Series: ...
def is_table(value): return isinstance(value, pd.DataFrame)
assert not is_table([1]) and not is_table(None)
assert not loaded(), "naming classes and isinstance load nothing"

def make(): return pd.DataFrame({"a": [1, 2]})
table = make()
assert loaded()
assert is_table(table), "isinstance holds for what was made later"
import pandas
assert type(table) is pandas.DataFrame and pandas is not pd
def submodule():
    import pandas.api.types
    return pandas.api.types.is_integer_dtype(table["a"])
assert submodule()
def missing(): return pd.isna(pd.NA) and pd.NA is pandas.NA
assert missing()
print("all as it should be")
"""

SUBMODULE_FIRST = """
from mlflow_tracking.deferred import defer
defer("pandas", ())
from pandas.api.types import is_list_like
assert is_list_like([1])
print("all as it should be")
"""


def has_loaded(pid: int, library: str) -> bool:
    return library in Path(f"/proc/{pid}/maps").read_text()


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_deferred_package_is_loaded_by_its_first_real_use() -> None:
    assert run(SCRIPT) == "all as it should be"


def test_the_import_of_a_submodule_loads_it() -> None:
    assert run(SUBMODULE_FIRST) == "all as it should be"


async def test_the_server_reads_and_writes_without_pandas(own_app: App) -> None:
    own_app.prepare()
    process = own_app.start()
    try:
        own_app.wait_until_ready(process)
        assert pss_mb(process.pid) < 175
        async with own_app.ingress_client() as browser:
            async with browser.get("/ajax-api/3.0/mlflow/server-info") as answer:
                assert answer.status == 200
            search = "/ajax-api/2.0/mlflow/runs/search"
            async with browser.post(search, json={"experiment_ids": ["0"]}) as answer:
                assert answer.status == 200
        assert not has_loaded(process.pid, "pandas/_libs")
    finally:
        process.terminate()
        process.wait(30)
