"""The one server process: MLflow's app behind the two listeners.

uvicorn alone, not under gunicorn: a supervised single worker gains nothing from a master process,
which costs some 20 MB; the container's s6 and Docker's health check restart what fails.
"""

import argparse
import logging
import os
import signal
import socket
import sys

import uvicorn

from . import mlflow_server
from .access import ApiAccess, IngressAccess, by_port
from .arguments import Settings, add_arguments, settings_from
from .database import close_database, database_url, open_database
from .disk import DiskWatch
from .errors import StartError
from .gateway_link import gateway_url
from .jobs import JobWatch
from .kept import api_token, encryption_passphrase
from .log import log_to_stdout, report
from .mirror import Mirror
from .options import Options, read_options
from .promptlab import PromptVersions
from .rest import Mlflow
from .retention import Nightly, Retention
from .ui import Interface

Chore = JobWatch | Mirror | Nightly

_logger = logging.getLogger(__name__)


def main() -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop, 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="mlflow_tracking serve")
    add_arguments(parser)
    settings = settings_from(parser.parse_args())
    # A stop during the start is a clean one too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        options = read_options(settings.options)
        log_to_stdout(options.log_level)
        open_database(settings, options)
        sockets = [_bind(settings.host, port) for port in _ports(settings)]
        _run(settings, options, sockets)
    except StartError as error:
        report(error)
        return 1
    return 0


def _run(settings: Settings, options: Options, sockets: list[socket.socket]) -> None:
    gateway = gateway_url(settings.gateway)
    os.environ.update(
        mlflow_server.environment(
            mlflow_server.ServerSettings(
                database_url=database_url(settings, options),
                artifacts=settings.artifacts,
                passphrase=encryption_passphrase(settings.data),
                gateway_url=gateway,
                allowed_hosts=options.allowed_hosts,
                background_jobs=options.background_jobs,
            )
        )
    )
    mlflow = mlflow_server.load_app()
    own_api = _own_api(settings)
    interface = Interface(
        PromptVersions(DiskWatch(mlflow, settings.data), own_api),
        mlflow_server.static_folder(),
        mlflow_server.home_experiment_id,
    )
    app = by_port(
        {
            settings.ingress_port: IngressAccess(
                interface, settings.ingress_from, settings.ingress_port
            ),
            settings.api_port: ApiAccess(
                interface, (api_token(settings.data), *options.api_tokens)
            ),
        },
        lifespan=mlflow,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            # The callers' addresses decide about access, so no header may change them.
            proxy_headers=False,
            # Longer than the Supervisor keeps an idle connection, so that it is never the one to
            # find a connection closed.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    )
    _logger.info(
        "MLflow is ready: ingress on port %d, the API on port %d; PromptLab's Gateway is %s.",
        settings.ingress_port,
        settings.api_port,
        gateway or "unknown (start the app with --gateway)",
    )
    chores = _chores(settings, options, gateway, own_api)
    for chore in chores:
        chore.start()
    # uvicorn stops cleanly on these and then raises them again, which would end in exit code 143.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=sockets)
    for chore in chores:
        chore.stop()
    close_database(settings, options)
    _logger.info("Stopped.")


def _own_api(settings: Settings) -> Mlflow:
    """This app's own API listener."""
    own_host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
    return Mlflow(f"http://{own_host}:{settings.api_port}", api_token(settings.data))


def _chores(
    settings: Settings, options: Options, gateway: str | None, mlflow: Mlflow
) -> list[Chore]:
    """What goes on beside answering requests."""
    file = settings.database_file if options.database == "sqlite" else None
    retention = Retention(options, database_url(settings, options), file, mlflow)
    chores: list[Chore] = [Nightly(retention)]
    if gateway:
        chores.append(Mirror(gateway, mlflow))
    if options.background_jobs:
        chores.append(JobWatch(database_url(settings, options), mlflow))
    return chores


def _ports(settings: Settings) -> tuple[int, int]:
    if settings.ingress_port == settings.api_port:
        raise StartError(f"Both listeners have port {settings.api_port}: give them two ports.")
    return settings.ingress_port, settings.api_port


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet, so that a taken port is noticed at once."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise StartError(
            f"Port {port} on {host} cannot be used ({error.strerror}): stop what listens there,"
            " or choose another port."
        ) from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
