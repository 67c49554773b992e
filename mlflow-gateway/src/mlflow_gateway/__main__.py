"""The command line: `python -m mlflow_gateway prepare|serve`."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path

from . import log, options, routes, server, settings


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a sentence for each fault on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        checked = options.load(Path(arguments.options))
    except options.OptionsError as error:
        count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        moment = time.strftime(log.TIME_FORMAT)
        headline = f"{moment} ERROR The app did not start: {count} in its options:"
        print(headline, *error.faults, sep="\n", file=sys.stderr)  # noqa: T201
        return 1
    chosen = settings.Settings(
        data=arguments.data,
        run=arguments.run,
        host=arguments.host,
        ingress_port=arguments.ingress_port,
        api_port=arguments.api_port,
        ingress_from=arguments.ingress_from,
        tracking=arguments.tracking,
        log_level=checked.log_level,
    )
    if arguments.command == "prepare":
        _prepare(chosen, checked)
        return 0
    if not chosen.routes_file.exists():
        print(f"{chosen.routes_file} is missing: run `prepare` first.", file=sys.stderr)  # noqa: T201
        return 1
    return server.serve(chosen, checked)


def _prepare(chosen: settings.Settings, checked: options.Options) -> None:
    settings.ensure_token(chosen)
    chosen.routes_file.parent.mkdir(parents=True, exist_ok=True)
    settings.write_private(chosen.routes_file, routes.dump(checked))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mlflow_gateway", description=__doc__)
    parser.add_argument("command", choices=("prepare", "serve"))
    parser.add_argument("--options", default="/data/options.json", help="the app's options")
    parser.add_argument("--data", default="/data", help="folder of what is kept")
    parser.add_argument("--run", default="/run/mlflow-gateway", help="folder of what is made anew")
    parser.add_argument("--host", default="0.0.0.0", help="address of both listeners")
    parser.add_argument("--ingress-port", type=int, default=8099)
    parser.add_argument("--api-port", type=int, default=5001)
    parser.add_argument(
        "--ingress-from", default="172.30.32.2", help="the only caller of the ingress listener"
    )
    parser.add_argument(
        "--tracking",
        default=settings.sibling(socket.gethostname()),
        help="host that may call the API listener without a token",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
