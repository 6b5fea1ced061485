#!/usr/bin/env bash
# Makes the pictures of README.md, docs/images/*.png, from bin/greenroom: a server on free ports with its data in a
# temporary directory, a meeting with real desktops, and a browser.
set -euo pipefail
cd "$(dirname "$0")/.."

most=204800 # bytes of one picture
hooks=$(mktemp -d)
trap 'rm -rf "$hooks"' EXIT
mkdir "$hooks/warmup.d"
cat >"$hooks/warmup.d/10-lesson" <<'HOOK'
#!/bin/sh
# Something to show on the desktop; and time to take a picture of the lobby.
cat >lesson.txt <<'LESSON'
Quadratic equations

    a x^2 + b x + c = 0

    x = (-b + sqrt(b^2 - 4 a c)) / 2 a   or
    x = (-b - sqrt(b^2 - 4 a c)) / 2 a

Exercise 1:  x^2 - 5 x + 6 = 0
LESSON
sleep 20
HOOK
chmod +x "$hooks/warmup.d/10-lesson"

GREENROOM_BLUEPRINTS_DEFAULT_HOOKS=$hooks npx --no-install playwright test --config scripts/pictures.config.ts
for picture in docs/images/{organiser,lobby,desktop}.png; do
  size=$(stat -c %s "$picture")
  echo "$picture: $size bytes"
  [ "$size" -le "$most" ] || { echo "$picture is larger than $most bytes" >&2; exit 1; }
done
