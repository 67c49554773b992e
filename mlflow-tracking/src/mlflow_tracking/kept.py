"""The app's own secrets, generated at first start and kept in the data folder."""

import os
import secrets
from pathlib import Path


def api_token(data: Path) -> str:
    """The bearer token of the API listener, in DATA/token."""
    return _kept_secret(data / "token")


def encryption_passphrase(data: Path) -> str:
    """What MLflow encrypts its AI Gateway's secrets with, in DATA/passphrase.

    Without one MLflow falls back to a passphrase that stands in its public source.
    """
    return _kept_secret(data / "passphrase")


def _kept_secret(file: Path) -> str:
    try:
        kept = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    secret = secrets.token_urlsafe(32)
    # Written aside and renamed: a power cut leaves either no secret or a whole one.
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secret + "\n")
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    return secret
