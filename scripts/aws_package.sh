#!/usr/bin/env bash
# Builds the packages of deploy/aws, for arm64 and amd64: dist/greenroom-lambda-ARCH.zip with the functions that serve no pages,
# and dist/greenroom-lambda-http-ARCH.zip with the function http. Each holds its program as "bootstrap" and, if a directory is
# given, the files in it. The same tree, Go and files make the same bytes. Usage: scripts/aws_package.sh [DIR]
set -euo pipefail

programs="greenroom-lambda:8 greenroom-lambda-http:20" # each with the MiB that its package may have
dist=${DIST:-dist}
die() { printf 'aws-package: %s\n' "$*" >&2; exit 1; }

config=
if [ -n "${1:-}" ]; then
  [ -d "$1" ] || die "$1 is no directory: CONFIG names one whose files go into the package, such as greenroom.yaml and aws-identity.pem"
  config=$(cd "$1" && pwd)
fi
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || die "Python 3 is needed to write the zips"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dist"
pack() { # program, MiB, architecture
  local program=$work/$1-$3 out=$dist/$1-$3.zip most=$(($2 << 20)) size
  # lambda.norpc leaves out a runtime that needs net/rpc.
  CGO_ENABLED=0 GOOS=linux GOARCH=$3 go build -tags lambda.norpc -trimpath -ldflags '-s -w' -o "$program" "./cmd/$1"
  python3 - "$out" "$program" "$config" <<'PYTHON'
import os, sys, zipfile
out, program, config = sys.argv[1:]
files = {"bootstrap": (program, 0o755)}
if config:
    for name in os.listdir(config):
        path = os.path.join(config, name)
        if name == "bootstrap" or not os.path.isfile(path):
            sys.exit(f"aws-package: {path} cannot go into the package: put only files beside the program")
        files[name] = (path, 0o644)
with zipfile.ZipFile(out + ".new", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    for name in sorted(files):
        path, mode = files[name]
        entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))  # a fixed time
        entry.create_system, entry.external_attr, entry.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
        with open(path, "rb") as f:
            z.writestr(entry, f.read())
os.replace(out + ".new", out)
PYTHON
  size=$(stat -c %s "$out" 2>/dev/null || stat -f %z "$out")
  [ "$size" -le "$most" ] || die "$out has $size bytes, more than the $most that a package may have"
  printf '%s: %d.%02d MiB, sha256 %s\n' "$out" $((size >> 20)) $(((size & 1048575) * 100 >> 20)) "$(python3 -c 'import hashlib,sys;print(hashlib.sha256(open(sys.argv[1],"rb").read()).hexdigest())' "$out")"
}
for arch in arm64 amd64; do
  for program in $programs; do
    pack "${program%:*}" "${program#*:}" "$arch"
  done
done
