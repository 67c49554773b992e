"""Both apps run in a home as the Supervisor starts them, and do their work there."""

import stat

from tests.images import network
from tests.images.conftest import MODEL_KEY
from tests.images.container import Container
from tests.images.provider import SENTENCE, Provider

ENDPOINTS = "api/2.0/endpoints/"


async def test_docker_sees_the_app_healthy(app: Container) -> None:
    state = await app.state()
    assert state["Health"]["Status"] == "healthy"
    assert state["Health"]["FailingStreak"] == 0


async def test_home_assistant_is_told_about_the_app_once_and_without_a_secret(
    app: Container,
) -> None:
    messages = await app.discovered()
    version = app.declaration["version"]
    assert messages == [{"service": "mlflow", "config": {"app": app.app, "version": version}}]


async def test_anyone_may_ask_whether_the_app_is_well(app: Container) -> None:
    assert await app.status("/health") == 200


async def test_the_supervisor_gets_in_through_the_ingress_port(app: Container) -> None:
    assert await app.status("/", **app.through_ingress()) == 200


async def test_nobody_else_gets_in_through_the_ingress_port(app: Container) -> None:
    for path in ("/", "/health"):
        assert await app.status(path, ingress=True, caller=network.CORE) == 403
        claimed = app.call(path, ingress=True, caller=network.CORE, token=_token(app))
        async with claimed as answer:
            assert answer.status == 403


async def test_the_other_port_asks_for_the_token_of_the_app(app: Container) -> None:
    path = {"gateway": "/v1/models", "tracking": "/version"}[app.app]
    assert await app.status(path) == 401
    assert await app.status(path, token="guessed") == 401
    assert await app.status(path, token=_token(app)) == 200


async def test_only_the_app_itself_can_read_its_token(app: Container) -> None:
    file = (app.data / "token").stat()
    assert stat.S_IMODE(file.st_mode) == 0o600
    assert file.st_uid == 0


async def test_the_gateway_calls_the_provider_with_the_key_of_the_options(
    home: dict[str, Container], provider: Provider
) -> None:
    question = {"model": "fast", "messages": [{"role": "user", "content": "Is the light on?"}]}
    gateway = home["gateway"]
    answer = await gateway.json("/v1/chat/completions", body=question, **gateway.through_ingress())
    assert answer["choices"][0]["message"]["content"] == SENTENCE
    assert provider.keys[-1] == MODEL_KEY


async def test_the_tracking_app_finds_the_gateway_by_its_own_host_name(
    home: dict[str, Container],
) -> None:
    tracking = home["tracking"]
    path = f"/ajax-api/2.0/mlflow/gateway-proxy?gateway_path={ENDPOINTS}"
    listed = await tracking.json(path, **tracking.through_ingress())
    assert [endpoint["name"] for endpoint in listed["endpoints"]] == ["fast"]


async def test_no_secret_is_shown_by_log_inspection_or_process_list(
    app: Container, home: dict[str, Container]
) -> None:
    secrets = {MODEL_KEY, *(_token(each) for each in home.values())}
    places = {
        "log": await app.log(),
        "docker inspect": await app.inspect(),
        "process list": await app.processes(),
    }
    for place, text in places.items():
        assert not [secret for secret in secrets if secret in text], f"a secret is in the {place}"
        if place != "docker inspect":  # the Supervisor itself puts its token into the environment
            assert app.supervisor_token not in text, f"the Supervisor's token is in the {place}"


async def test_the_log_has_no_warning_and_no_error(app: Container) -> None:
    log = await app.log()
    assert "Traceback" not in log
    assert not [line for line in log.splitlines() if "WARN" in line.upper() or "ERROR" in line]


async def test_files_are_written_where_the_apparmor_profile_allows_it(app: Container) -> None:
    written = [line.split(" ", 1)[1] for line in await app.changed_files()]
    places = ("/run", "/tmp", "/data")
    # parents of what changed are listed too
    stray = [p for p in written if not p.startswith(places) and p not in ("/", "/var")]
    assert stray == []


async def test_the_app_starts_from_byte_code_and_without_pip_or_compiler(app: Container) -> None:
    assert await app.run("find", "/opt/app", "-name", "*.pyc", "-print", "-quit")
    assert await app.run("bash", "-c", "type -p pip pip3 gcc cc make || true") == ""
    assert await app.run("find", "/opt/venv", "-name", "pip", "-print", "-quit") == ""


def _token(app: Container) -> str:
    return (app.data / "token").read_text().strip()
