#!/usr/bin/env bash
# Builds the packages of deploy/aws: dist/greenroom-lambda-arm64.zip and -amd64.zip, each with the program as "bootstrap" and,
# if a directory is given, the files in it. The same tree, Go and files make the same bytes. Usage: scripts/aws_package.sh [DIR]
set -euo pipefail

most=$((25 << 20)) # bytes of one package
main=./cmd/greenroom-lambda
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
for arch in arm64 amd64; do
  mkdir "$work/$arch"
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -tags lambda.norpc -ldflags '-s -w' -o "$work/$arch/bootstrap" "$main"
  out=$dist/greenroom-lambda-$arch.zip
  python3 - "$out" "$work/$arch/bootstrap" "$config" <<'PYTHON'
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
done
