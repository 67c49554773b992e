"""What the Gateway takes of a user's disk, and that its start does not pay for it."""

import pytest
from tests.images.conftest import Start

# issue 3: the packages and the app, with byte code
MOST_MEGABYTES = 145

# One of each kind that differs in what it imports. Nobody listens there.
NOWHERE = "http://127.0.0.1:9"
PROVIDERS = [
    {"name": "openai", "type": "openai", "api_key": "sk-x", "api_base": NOWHERE},
    {"name": "anthropic", "type": "anthropic", "api_key": "sk-x", "api_base": NOWHERE},
    {"name": "gemini", "type": "gemini", "api_key": "sk-x", "api_base": NOWHERE},
    {"name": "bedrock", "type": "bedrock", "api_key": "x", "aws_region": "x", "api_base": NOWHERE},
]
ENDPOINTS = [{"name": p["name"], "provider": p["name"], "model": "m"} for p in PROVIDERS]

# The app once more beside the one that runs; Python itself says of each module where its code is from.
SECOND = """
export PYTHONVERBOSE=1
again="--data /tmp/again --run /tmp/again --host 127.0.0.1 --tracking 127.0.0.1"
ports="--ingress-port 18099 --api-port 15001"
/opt/venv/bin/python -m mlflow_gateway prepare $again 2>/tmp/again.log
/opt/venv/bin/python -m mlflow_gateway serve $again $ports >>/tmp/again.log 2>&1 &
unset PYTHONVERBOSE
timeout 60 bash -c 'until curl -sf 127.0.0.1:15001/health; do sleep 0.1; done' || exit 1
for name in openai anthropic gemini bedrock; do
  for stream in false true; do
    curl -s 127.0.0.1:15001/v1/chat/completions --json '{
      "model": "'$name'", "stream": '$stream', "messages": [{"role": "user", "content": "hi"}]}'
  done
done
curl -s 127.0.0.1:15001/usage 127.0.0.1:15001/metrics 127.0.0.1:15001/
kill %1
wait
"""

pytestmark = pytest.mark.parametrize("start", ["gateway"], indirect=True)


async def test_it_takes_no_more_of_the_disk_than_promised(start: Start) -> None:
    app = await start()
    sizes = await app.run("find", "/opt/venv", "/opt/app", "-type", "f", "-printf", r"%s\n")
    assert sum(map(int, sizes.split())) / 1e6 <= MOST_MEGABYTES


async def test_nothing_is_compiled_while_it_starts_and_answers(start: Start) -> None:
    app = await start(providers=PROVIDERS, endpoints=ENDPOINTS)
    await app.until_answering()
    said = await app.run("bash", "-c", SECOND)
    assert said.count("upstream_refused") == 2 * len(PROVIDERS)
    origins = await app.run("grep", "-aoE", "code object from '/opt/[^']+'", "/tmp/again.log")
    found = {line.split("'")[1] for line in origins.splitlines()}
    assert len(found) > 500
    assert {path for path in found if not path.endswith(".pyc")} == set()
