"""Opens MLflow's interface in a browser, twice; prints times (s), transfer (kB) and requests as JSON.

`python tracking_page.py ADDRESS`, run by benchmarks/tracking.py with the environment that has a browser.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from playwright.sync_api import BrowserContext, sync_playwright

CHROMIUM = "/usr/bin/chromium"


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


def main(address: str) -> None:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        context = browser.new_context()
        first, second = opened(context, address), opened(context, address)
        browser.close()
    print(
        json.dumps(
            {
                "first opening": first[0],
                "first opening, transferred": first[1],
                "first opening, requests": first[2],
                "second opening": second[0],
                "second opening, transferred": second[1],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
