"""The Tracking image is small, and what was made small in it works; see mlflow-tracking/slim.py."""

import re

from tests.images.container import Container

MEGABYTES = 230


async def test_the_packages_take_no_more_room_than_promised(home: dict[str, Container]) -> None:
    kibibytes = int((await home["tracking"].run("du", "-sk", "/opt/venv")).split()[0])
    assert kibibytes * 1.024 / 1000 <= MEGABYTES


async def test_the_packed_interface_is_served_to_who_unpacks_and_who_does_not(
    home: dict[str, Container],
) -> None:
    tracking = home["tracking"]
    async with tracking.call("/", **tracking.through_ingress()) as answer:
        (script,) = re.findall(r'src="(static-files/static/js/main[^"]+)"', await answer.text())
    path = f"/{script}"
    async with tracking.call(path, **tracking.through_ingress()) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        unpacked_here = await answer.text()
    url = f"http://127.0.0.1:5000{path}"
    read_token = f'--header "Authorization: Bearer $(cat /data/token)" {url}'
    unpacked_there = await tracking.run("bash", "-c", f"curl --silent --fail {read_token}")
    assert len(unpacked_here) > 4_000_000
    assert unpacked_there.strip() == unpacked_here.strip()
