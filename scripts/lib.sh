# shellcheck shell=bash
# What the other scripts share: where things are, and how each tool is got on a bare Debian machine.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS=$ROOT/.tools
export UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=${UV_LINK_MODE:-hardlink}
export PIP_DISABLE_PIP_VERSION_CHECK=1

UV_VERSION=0.13.8
HOMEASSISTANT_PYTHON=3.14

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# apt_need PACKAGE...: installs what is missing of Debian's packages; the list is refreshed once, when needed.
apt_need() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "this is no Debian: install what its packages ${missing[*]} have, and start again"
  may_be_root || die "these Debian packages are missing, and only root can install them: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || die "apt-get update failed; is there a network?"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null ||
    die "could not install ${missing[*]}; install these Debian packages by hand and start again"
}

# database_servers: PostgreSQL and MariaDB for tests that start their own, without the services that Debian would start.
database_servers() {
  local conf=/etc/postgresql-common/createcluster.conf
  if [ ! -e "$conf" ] && may_be_root; then
    as_root mkdir -p "${conf%/*}"
    echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
  fi
  apt_need mariadb-server-core mariadb-client-core postgresql
}

# uv: the pinned one, installed by pip into .tools, so that nothing of the user's own is touched.
uv() {
  local home=$TOOLS/uv-$UV_VERSION
  if [ ! -x "$home/bin/uv" ]; then
    python3 -m pip --version >/dev/null 2>&1 || apt_need python3-pip
    mkdir -p "$TOOLS"
    python3 -m pip install -q --root-user-action=ignore --no-warn-script-location \
      --target "$home.new" "uv==$UV_VERSION" 2>/dev/null ||
      die "could not install uv $UV_VERSION with pip; is there a network?"
    rm -rf "$home" && mv "$home.new" "$home"
  fi
  "$home/bin/uv" "$@"
}

# app_python: an interpreter of the versions that the apps run on (the images have 3.13).
app_python() {
  local version found
  for version in 3.13 3.12 3.11; do
    found=$(uv python find --no-project "$version" 2>/dev/null) && [ -n "$found" ] && echo "$found" && return
  done
  die "no Python 3.11, 3.12 or 3.13 found: install python3 (Debian 12 has 3.11)"
}

# home_python: Python 3.14.2 or newer for Home Assistant: from PATH, else by uv, else out of Debian's newer packages.
home_python() {
  local found
  found=$(uv python find --no-project "$HOMEASSISTANT_PYTHON" 2>/dev/null) || found=
  if [ -n "$found" ] && "$found" -c 'import sys; sys.exit(sys.version_info < (3, 14, 2))'; then
    echo "$found"
    return
  fi
  if [ ! -x "$TOOLS/python3.14/usr/bin/python3.14" ]; then
    if UV_PYTHON_DOWNLOADS=manual UV_HTTP_RETRIES=0 UV_PYTHON_INSTALL_DIR=$TOOLS/python \
      uv python install -q "$HOMEASSISTANT_PYTHON" 2>/dev/null; then
      UV_PYTHON_INSTALL_DIR=$TOOLS/python uv python find --no-project "$HOMEASSISTANT_PYTHON"
      return
    fi
    apt_need patchelf
    "$ROOT/scripts/python-from-debian" "$TOOLS/python3.14" >&2
  fi
  echo "$TOOLS/python3.14/usr/bin/python3.14"
}

# venv DIR PYTHON_FUNCTION SOURCES LOCK...: an environment that holds exactly what the locks name, with SOURCES ("-" for
# none) on its path. Quick when nothing changed. Locks may name a package twice, in the same version: scripts/lock sees to
# that.
venv() {
  local dir=$1 python=$2 sources=$3 stamp lock site
  shift 3
  stamp=$(cat "$@" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ] && "$dir/bin/python" -c '' 2>/dev/null; then return; fi
  python=$("$python")
  say "making ${dir#"$ROOT"/} with $("$python" -V 2>&1)"
  rm -rf "$dir"
  uv venv -q --no-project --python "$python" "$dir"
  for lock in "$@"; do
    VIRTUAL_ENV=$dir uv pip install -q --no-deps --require-hashes -r "$lock"
  done
  if [ "$sources" != - ]; then
    for site in "$dir"/lib/python3*/site-packages; do echo "$sources" >"$site/mlflow_home_assistant.pth"; done
  fi
  # once, here: PYTHONDONTWRITEBYTECODE may be set, and then no run would keep its own
  "$dir/bin/python" -m compileall -q -j0 -x '/(homeassistant/components|tests?)/' "$dir/lib" >/dev/null 2>&1 || true
  echo "$stamp" >"$dir/.stamp"
}
