"""Keeps the figures of one part in latest.json and prints them as a table.

`python report.py PART FILE`, where FILE holds what the part's benchmark printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LATEST = Path(__file__).with_name("latest.json")


def _row(figure: str, values: dict[str, Any]) -> list[str]:
    better = values["higher_is_better"]
    reached = (values["ours"] >= values["goal"]) == better or values["ours"] == values["goal"]
    peers = ", ".join(f"{name} {number:g}" for name, number in values["peers"].items())
    goal = f"{'at least' if better else 'at most'} {values['goal']:g}"
    mark = "yes" if reached else "NO"
    return [figure, values["unit"], f"{values['ours']:g}", goal, mark, peers or "-"]


def main(part: str, file: str) -> None:
    figures = json.loads(Path(file).read_text())
    kept = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    kept[part] = figures
    LATEST.write_text(json.dumps(kept, indent=2) + "\n")
    table = [["figure", "unit", "ours", "goal", "reached", "peers"]]
    table += [_row(figure, values) for figure, values in figures.items()]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
