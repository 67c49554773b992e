"""Where the sibling Gateway app is."""

import socket

_OWN_NAME = "-mlflow-tracking"
_GATEWAY_NAME = "-mlflow-gateway"
_GATEWAY_API_PORT = 5001


def gateway_url(given: str | None) -> str | None:
    """The base address of the Gateway's API listener, or None when there is no way to know it.

    Both apps come from one repository, so their host names share the prefix that the Supervisor
    derives from the repository's address: `<prefix>-mlflow-tracking`, `<prefix>-mlflow-gateway`.
    """
    if given:
        return given.rstrip("/")
    prefix, own_name, rest = socket.gethostname().partition(_OWN_NAME)
    if not own_name or rest:
        return None
    return f"http://{prefix}{_GATEWAY_NAME}:{_GATEWAY_API_PORT}"
