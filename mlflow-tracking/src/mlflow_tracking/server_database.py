"""A MariaDB or PostgreSQL server as the database, for those who run one anyway."""

import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from sqlalchemy import text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from . import mlflow_server
from .errors import NewerDatabaseError, StartError

_logger = logging.getLogger(__name__)

# The drivers in the lock, by the scheme that users write.
_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgres": "postgresql+pg8000",
    "postgresql": "postgresql+pg8000",
}
_DATABASE = "mlflow"
_WAIT_SECONDS = 60.0


def mariadb_app_url() -> str:
    """The URL of the MariaDB app, as the Supervisor's service `mysql` describes it.

    https://developers.home-assistant.io/docs/api/supervisor/endpoints/#service
    """
    supervisor = os.environ.get("SUPERVISOR_API", "http://supervisor")
    request = urllib.request.Request(  # noqa: S310  (the Supervisor's own address)
        f"{supervisor}/services/mysql",
        headers={"Authorization": f"Bearer {os.environ.get('SUPERVISOR_TOKEN', '')}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            service = json.load(answer)["data"]
        url = URL.create(
            "mysql+pymysql",
            username=service["username"],
            password=service["password"],
            host=service["host"],
            port=int(service["port"]),
            database=_DATABASE,
            query={"charset": "utf8mb4"},
        )
    except (OSError, ValueError, KeyError, TypeError, urllib.error.HTTPError):
        raise StartError(
            "Option database is mariadb and the Supervisor knows no MariaDB: install and start the"
            " MariaDB app, or choose another database."
        ) from None
    return url.render_as_string(hide_password=False)


def with_driver(given: str) -> str:
    """The user's URL with the driver that the app has.

    Raises StartError when it is no URL of a supported database; never repeats its password.
    """
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise _unusable_url() from None
    scheme = url.drivername.partition("+")[0]
    if scheme not in _DRIVERS or not url.host or not url.database:
        raise _unusable_url()
    url = url.set(drivername=_DRIVERS[scheme])
    if scheme in {"mysql", "mariadb"}:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url.render_as_string(hide_password=False)


def _unusable_url() -> StartError:
    return StartError(
        "Option database_url must look like postgresql://user:password@host:5432/database or"
        " mysql://user:password@host:3306/database, with special characters percent-encoded."
    )


def is_ready(url: str) -> bool:
    """Tell whether the server can start from the database as it is."""
    with _engine(url) as engine:
        return _revision(engine) == mlflow_server.newest_revision()


def prepare(url: str) -> None:
    """Create or migrate the database.

    Raises StartError when the server cannot be reached in a minute, when the database is newer than
    the app, and when a migration fails; the database is then as it was before.
    """
    _wait_for_server(url)
    with _engine(url) as engine:
        revision = _revision(engine)
        if revision == mlflow_server.newest_revision():
            return
        if revision is not None and not mlflow_server.knows_revision(revision):
            raise NewerDatabaseError(revision)
        if revision is None:
            mlflow_server.create_or_migrate(url)
            _logger.info("Made a new database on %s.", make_url(url).host)
        else:
            _migrate(engine, url, revision)


def _migrate(engine: Engine, url: str, revision: str) -> None:
    _logger.info("The database is of revision %s: migrating it. This can take minutes.", revision)
    # PostgreSQL migrates in one transaction, so a failure takes everything back by itself.
    copy = _MariadbCopy(engine, revision) if engine.dialect.name == "mysql" else None
    if copy:
        copy.make()
    try:
        mlflow_server.create_or_migrate(url)
    except Exception as error:
        if copy:
            copy.put_back()
        raise StartError(
            "Migrating the database failed, and it was left as it was"
            f" ({type(error).__name__}: {str(error).splitlines()[0]}): go back to the app's version"
            " before this one, and report this."
        ) from error
    _logger.info("Migrated the database.")
    if copy:
        _logger.info("The one before is kept as %s on the same server.", copy.name)


def _wait_for_server(url: str) -> None:
    """Wait until the server lets this user in, and make the database when it is MariaDB's own."""
    parsed = make_url(url)
    on_mysql = parsed.drivername.startswith("mysql")
    # A MySQL user need not name a database that does not exist yet.
    entrance = parsed.set(database="") if on_mysql else parsed
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            with _engine(entrance.render_as_string(hide_password=False)) as engine:
                with engine.begin() as connection:
                    if on_mysql:
                        _create_mysql_database(connection, str(parsed.database))
                return
        except SQLAlchemyError as error:
            if time.monotonic() > deadline:
                raise StartError(
                    f"The database server {parsed.host} cannot be used"
                    f" ({_reason(error)}): check that it runs, and the address, user and password."
                ) from None
        time.sleep(1)


def _reason(error: SQLAlchemyError) -> str:
    """The driver's own words, which hold no password."""
    return str(getattr(error, "orig", error)).splitlines()[0]


def _create_mysql_database(connection: Connection, name: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    connection.execute(text(f"CREATE DATABASE IF NOT EXISTS {quoted}"))
    if not sqlalchemy.inspect(connection).get_table_names(schema=name):
        # One that a user made may have another default, which MLflow's migrations fail on.
        connection.execute(text(f"ALTER DATABASE {quoted} CHARACTER SET utf8mb4"))


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = sqlalchemy.create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _revision(engine: Engine) -> str | None:
    if not sqlalchemy.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found) if found else None


class _MariadbCopy:
    """The database before a migration, in a database beside it: MariaDB cannot take a migration back."""

    def __init__(self, engine: Engine, revision: str) -> None:
        self._engine = engine
        self._own = str(engine.url.database)
        self.name = f"{self._own}_before_{revision}"

    def make(self) -> None:
        """Copy every table with its rows; raises StartError when that is not allowed."""
        try:
            with self._engine.begin() as connection:
                self._replace(connection, self._own, self.name)
        except SQLAlchemyError as error:
            raise StartError(
                f"The database has to be migrated and could not be copied to {self.name} before"
                f" ({_reason(error)}): allow its user to create that database, or make room."
            ) from None

    def put_back(self) -> None:
        """Make the database what it was when it was copied."""
        with self._engine.begin() as connection:
            self._replace(connection, self.name, self._own)

    def _replace(self, connection: Connection, source: str, target: str) -> None:
        def run(statement: str) -> Any:
            # Not text(): a table's definition may hold colons.
            return connection.exec_driver_sql(statement.replace("%", "%%"))

        run("SET SESSION foreign_key_checks = 0")
        run(f"DROP DATABASE IF EXISTS `{target}`")
        run(f"CREATE DATABASE `{target}` CHARACTER SET utf8mb4")
        tables = [row[0] for row in run(f"SHOW TABLES FROM `{source}`")]
        for table in tables:
            definition = run(f"SHOW CREATE TABLE `{source}`.`{table}`").one()[1]
            run(f"USE `{target}`")
            run(definition)
            # The names are the database's own.
            run(f"INSERT INTO `{target}`.`{table}` SELECT * FROM `{source}`.`{table}`")  # noqa: S608
        run(f"USE `{self._own}`")
        run("SET SESSION foreign_key_checks = 1")
