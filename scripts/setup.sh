#!/usr/bin/env bash
# Installs what a target needs and is not there yet, and says so. Usage: scripts/setup.sh build|demo|test|bench
set -euo pipefail
cd "$(dirname "$0")/.."

want=${1:?usage: scripts/setup.sh build|demo|test|bench}
say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# program:package pairs, as Debian and Ubuntu name them
programs=(Xtigervnc:tigervnc-standalone-server openbox:openbox xterm:xterm certutil:libnss3-tools)
if [ "$want" = test ] || [ "$want" = bench ]; then
  programs+=(dig:bind9-dnsutils shellcheck:shellcheck mvn:maven) # Maven fetches DynamoDB Local; the Java that comes with it runs it
  PATH=$PATH:/usr/sbin type -P ip >/dev/null || programs+=(ip:iproute2) # network namespaces: machines of their own, and cables to pull
  PATH=$PATH:/usr/sbin type -P nginx >/dev/null || programs+=(nginx:nginx-light) # the proxies that docs/proxies.md has examples for
  programs+=(caddy:caddy)
  { type -P gcc || type -P cc || type -P clang; } >/dev/null || programs+=(gcc:gcc libc6-dev:libc6-dev) # the race detector wants a C compiler
  python3 -c 'import ensurepip, venv' 2>/dev/null || programs+=(python3-venv:python3-venv)
  # One name server is enough; both packages keep it out of an ordinary user's PATH.
  { PATH=$PATH:/usr/sbin type -P knotd || PATH=$PATH:/usr/sbin type -P named; } >/dev/null || programs+=(knotd:knot)
  # The package keeps the server out of PATH. The tests start servers of their own on free ports; the cluster that installing
  # may start on port 5432 is not used.
  if ! { type -P postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' || compgen -G '/usr/pgsql-*/bin/postgres'; } >/dev/null; then
    programs+=(postgres:postgresql)
  fi
  PATH=$PATH:/usr/sbin type -P pgbouncer >/dev/null || programs+=(pgbouncer:pgbouncer) # tests start poolers of their own
  if [ "$want" = test ] && ! { type -P chromium || type -P chromium-browser || type -P google-chrome; } >/dev/null; then
    # Ubuntu's package of that name only points at a snap, which cannot see the tests' home directories.
    ! grep -qs '^ID=ubuntu' /etc/os-release || die "Ubuntu has no Chromium package: install Google Chrome (https://www.google.com/chrome/), then run this again"
    programs+=(chromium:chromium)
  fi
fi
if [ "$want" = build ]; then programs=(); fi

command -v go >/dev/null || die "Go 1.26 or newer is needed: https://go.dev/doc/install"
{ command -v node && command -v npm; } >/dev/null || die "Node.js 20 or newer with npm is needed: https://nodejs.org/en/download"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || die "Node.js 20 or newer is needed; this is $(node --version)"
{ [ "$want" != test ] && [ "$want" != bench ]; } || command -v python3 >/dev/null || die "Python 3 is needed to count the tests"

missing=()
for pair in "${programs[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || die "these programs are missing: ${missing[*]}. This machine has no apt-get; install them with its own package manager"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    as_root=(sudo)
    command -v sudo >/dev/null || die "as root, run: apt-get update && apt-get install -y ${missing[*]}"
    if ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
      die "run: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
    fi
  fi
  say "installing ${missing[*]} with apt-get"
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get could not install ${missing[*]}; its whole output is in $log"
  fi
  rm -f "$log"
fi

# The lock file's fingerprint beside the installed modules tells whether they are current.
stamp=node_modules/.greenroom-lock
if ! cmp -s package-lock.json "$stamp"; then
  say "installing the page's parts with npm ci"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi

# pythons makes an environment of Python packages in .cache.
pythons() {
  local into=.cache/$1 what=$2
  shift 2
  say "installing $what into $into with pip"
  python3 -m venv "$into.new" || die "Python's venv is missing: apt-get install python3-venv, then run this again"
  "$into.new/bin/python3" -m pip install --quiet --disable-pip-version-check "$@"
  rm -rf "$into"
  mv "$into.new" "$into" # whole or not at all
}

# What stands in for AWS in the tests, and what the functions' start is measured beside.
if { [ "$want" = test ] || [ "$want" = bench ]; } && ! [ -x .cache/moto/bin/python3 ] && ! python3 -c 'import moto.server, flask' 2>/dev/null; then
  pythons moto "moto's server" 'moto[server]==5.2.1'
fi

# What parses the images' PowerShell in the tests.
if [ "$want" = test ] && ! [ -x .cache/powershell/bin/python3 ] && ! python3 -c 'import tree_sitter, tree_sitter_powershell' 2>/dev/null; then
  pythons powershell "a parser of PowerShell" tree-sitter==0.26.1 tree-sitter-powershell==0.26.4
fi

# What judges deploy/aws.
if [ "$want" = test ] && ! [ -x .cache/cfn-lint/bin/python3 ]; then
  pythons cfn-lint cfn-lint cfn-lint==1.58.0
fi

# What holds the API against its own schema.
if [ "$want" = test ] && ! [ -x .cache/schemathesis/bin/python3 ]; then
  pythons schemathesis Schemathesis schemathesis==4.32.0
fi

# Amazon's DynamoDB Local, which the store on DynamoDB is tested on. What does not have the pinned sums is not kept.
local=.cache/dynamodb-local sums=$PWD/internal/testenv/dynamolocal/SHA256SUMS
if { [ "$want" = test ] || [ "$want" = bench ]; } && ! cmp -s "$sums" "$local/SHA256SUMS"; then
  say "installing DynamoDB Local into $local with Maven"
  rm -rf "$local" "$local.new"
  mvn -B -q -f internal/testenv/dynamolocal/pom.xml dependency:copy-dependencies "-DoutputDirectory=$PWD/$local.new"
  (cd "$local.new" && sha256sum --quiet -c "$sums") || die "DynamoDB Local is not what it was when it was pinned: see internal/testenv/dynamolocal"
  cp "$sums" "$local.new/SHA256SUMS"
  mv "$local.new" "$local"
fi
