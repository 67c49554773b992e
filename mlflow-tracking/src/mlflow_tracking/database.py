"""Which database the app keeps its records in, and that it is ready for this MLflow."""

from . import server_database, sqlite_file
from .arguments import Settings
from .errors import StartError
from .options import Options
from .snapshot import leave_snapshot


def database_url(settings: Settings, options: Options) -> str:
    """The SQLAlchemy URL of the chosen database; holds the password of a database server.

    Raises StartError when the database that is chosen is not there.
    """
    if options.database == "mariadb":
        return server_database.mariadb_app_url()
    if options.database == "url":
        return server_database.with_driver(options.database_url)
    return sqlite_file.sqlite_url(settings.database_file)


def prepare_database(settings: Settings, options: Options) -> None:
    """Create or migrate the chosen database.

    Raises StartError when it cannot be reached, is newer than the app, or cannot be migrated.
    """
    if options.database == "sqlite":
        sqlite_file.prepare_file(settings.database_file)
    else:
        server_database.prepare(database_url(settings, options))


def open_database(settings: Settings, options: Options) -> None:
    """Ready this process for the database.

    Raises StartError unless the server can start from the database as it is.
    """
    if options.database == "sqlite":
        sqlite_file.spare_the_disk()
        ready = sqlite_file.is_ready(settings.database_file)
    else:
        ready = server_database.is_ready(database_url(settings, options))
    if not ready:
        raise StartError("The database is not prepared: run `prepare` before `serve`.")


def close_database(settings: Settings, options: Options) -> None:
    """Leave the database as a backup of the stopped app and its next start need it."""
    if options.database == "sqlite":
        leave_snapshot(settings.database_file)
