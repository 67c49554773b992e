"""Opens MLflow's interface in a new browser, twice; prints times (s), transfer (kB) and requests as JSON.

`python tracking_page.py ADDRESS SESSION`, run by benchmarks/tracking.py with the environment that has a browser.
Done several times; each figure is the median.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from typing import Any

from playwright.sync_api import BrowserContext, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ROUNDS = 5
KINDS = ("", ", transferred", ", requests")


def opened(context: BrowserContext, address: str) -> tuple[float, float, int]:
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    transferred: list[float] = []

    def finished(event: dict[str, Any]) -> None:
        transferred.append(event["encodedDataLength"])

    session.on("Network.loadingFinished", finished)
    begun = time.monotonic()
    page.goto(address)
    page.get_by_text("Experiments").first.wait_for(timeout=60000)
    took = time.monotonic() - begun
    page.wait_for_timeout(2000)  # what the page still asks for; some servers keep it asking
    page.close()
    return took, sum(transferred) / 1000, len(transferred)


def main(address: str, session: str) -> None:
    rounds: list[dict[str, float]] = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        for _ in range(ROUNDS):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            context = browser.new_context()
            context.add_cookies([{"name": "ingress_session", "value": session, "url": address}])
            context.new_page().goto("about:blank")  # the browser itself is up
            first, second = opened(context, address), opened(context, address)
            browser.close()
            figures = {f"first opening{name}": first[i] for i, name in enumerate(KINDS)}
            figures |= {f"second opening{name}": second[i] for i, name in enumerate(KINDS[:2])}
            rounds.append(figures)
    print(json.dumps({name: median(each[name] for each in rounds) for name in rounds[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
