# shellcheck shell=bash
# What tests/run and .ci/run share: the tools they need, and named, timed parts with a summary.

summary_lines=()
failed_parts=0

# Runs a command as one part: says how long it took, notes a failure and goes on.
part() {
  local name=$1 began=$SECONDS status verdict=ok
  shift
  printf '\n=== %s\n' "$name"
  set +e
  (
    set -euo pipefail
    "$@"
  ) </dev/null
  status=$?
  set -e
  if ((status != 0)); then
    verdict="FAILED ($status)"
    failed_parts=$((failed_parts + 1))
  fi
  summary_lines+=("$(printf '%5d s  %-12s %s' $((SECONDS - began)) "$verdict" "$name")")
  return 0
}

# Runs a part that the others need; without it there is no point in going on.
required_part() {
  local before=$failed_parts
  part "$@"
  ((failed_parts == before)) || summary
}

# Prints the parts and ends the script.
summary() {
  printf '\n=== summary, %d s\n' "$SECONDS"
  printf '%s\n' "${summary_lines[@]}"
  ((failed_parts == 0)) || exit 1
  exit 0
}

# Installs Debian packages if this machine lets us, or says what is missing.
install() {
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "missing: $* (install it, or run as root on Debian)" >&2
    return 1
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# The browser that tests/clients/web drives. It is large: only the part that needs it asks for it.
ensure_browser() {
  command -v chromium-headless-shell >/dev/null || install chromium-headless-shell
  chromium-headless-shell --version
}

# Everything that a fresh machine may lack.
ensure_tools() {
  command -v git >/dev/null || install git
  command -v cc >/dev/null || install gcc libc6-dev
  command -v cargo >/dev/null || install cargo
  cargo fmt --version >/dev/null 2>&1 || install rustfmt
  cargo clippy --version >/dev/null 2>&1 || install rust-clippy
  command -v node >/dev/null || install nodejs
  command -v npm >/dev/null || install npm
  command -v python3 >/dev/null || install python3
  command -v openssl >/dev/null || install openssl
  command -v curl >/dev/null || install curl
  python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
  node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || {
    echo "node $(node --version) is too old: 20 or later is needed" >&2
    return 1
  }
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$(python3 --version) is too old: 3.11 or later is needed" >&2
    return 1
  }
  cargo --version
  echo "node $(node --version), npm $(npm --version 2>/dev/null), $(python3 --version)"
}
