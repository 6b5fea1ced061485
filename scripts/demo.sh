#!/usr/bin/env bash
# Serves greenroom on this machine, schedules a meeting that starts now and prints its links. Ctrl-C ends the
# meeting, waits until its desktops are gone, and stops.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${GREENROOM_DATA_DIR:-$PWD/.cache/demo}
bin=bin/greenroom
mkdir -p "$data"
# In a session of its own, so that Ctrl-C reaches this script alone and the meeting can be ended first.
setsid "$bin" serve --data-dir "$data" >"$data/ready" 2>"$data/serve.log" &
server=$!

# open_meetings also lists what an earlier demo left behind when it was killed.
open_meetings() {
  "$bin" list -o json 2>/dev/null | node -e '
    let text = ""; process.stdin.on("data", (d) => (text += d)).on("end", () => {
      for (const m of JSON.parse(text || "{}").meetings ?? []) if (m.state !== "ended") console.log(m.id); })'
}

finish() {
  trap '' HUP INT TERM
  trap - EXIT
  if kill -0 "$server" 2>/dev/null; then
    printf '\nEnding the meeting …\n'
    for id in $(open_meetings); do
      if "$bin" end "$id" >/dev/null; then timeout 60 "$bin" watch "$id" >/dev/null || true; fi
    done
  fi
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  echo "Stopped. Nothing runs any more; the demo's files are in $data."
}
trap finish EXIT
trap 'exit 0' HUP INT TERM # the usual ways to end a demo

until grep -q ready "$data/ready"; do
  kill -0 "$server" 2>/dev/null || { tail -n 5 "$data/serve.log" >&2; exit 1; }
  sleep 0.1
done

echo "Letting this machine's browsers trust the demo's authority, which can sign for *.desk.localhost only:"
"$bin" trust --data-dir "$data" || true
echo "($bin trust --remove --data-dir $data undoes it.)"
meeting=$("$bin" schedule --title "Demo" --start now --duration 1h --seat teacher="Teacher One" --seat student="Student One" -o json |
  node -e 'let s="";process.stdin.on("data",d=>s+=d).on("end",()=>console.log(JSON.parse(s).id))')
echo
"$bin" show "$meeting"
cat <<TXT

Open a seat's link in a browser on this machine: the lobby takes you in when the desktop is proved.
The organiser's page is http://127.0.0.1:8080/meetings/$meeting
Press Ctrl-C to end the meeting and stop. The log is $data/serve.log.
TXT
wait "$server"
