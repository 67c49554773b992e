"""Runs the tests of the integration in the newest Home Assistant, for which there is no plugin yet.

    .tools/home/bin/python tests/integration/newest.py [PYTEST_ARGUMENT...]

The plugin comes from the environment of `./scripts/setup integration`, everything else from this
one: the plugin of 2026.10 asks for a helper of core's logger in its old place.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run pytest, and return its exit code."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path[0] = str(ROOT)
    sys.path.append(str(ROOT / ".tools" / "test-integration" / "lib" / version / "site-packages"))

    import pytest  # noqa: PLC0415 - after Home Assistant, which takes httpx's name
    from homeassistant.components import logger  # noqa: PLC0415 - found by the path above
    from homeassistant.components.logger import helpers  # noqa: PLC0415

    logger._clear_logger_overwrites = helpers._clear_logger_overwrites  # type: ignore[attr-defined]
    return pytest.main(sys.argv[1:] or ["tests/integration"])


if __name__ == "__main__":
    sys.exit(main())
