#!/usr/bin/env python3
"""Runs the Go tests and the browser tests, shows what failed, and closes with one line that counts them."""
import collections
import json
import os
import subprocess
import sys
import time


# Tests of these packages run without the race detector. They drive programs that they built without it, or wire parts that are
# tested with it below, and would make the detector compile the whole of AWS's SDK a second time.
PLAIN = {
    "greenroom": "reads the tree",
    "greenroom/cmd/greenroom": "runs commands, each by itself",
    "greenroom/deploy/aws": "reads files",
    "greenroom/deploy/images": "reads files",
    "greenroom/e2e": "drives the built program",
    "greenroom/e2e/serverless": "drives the built program",
    "greenroom/internal/app/components": "wires",
    "greenroom/internal/app/lambda": "wires",
    "greenroom/internal/app/lambda/httpfunction": "wires",
    "greenroom/internal/app/server": "wires",
    "greenroom/internal/doctor": "asks one question after another",
    "greenroom/internal/sim/mutations": "drives programs that it built",
}


def go_packages():
    """Returns the packages for the race detector and those without it, in the order of go list."""
    out = subprocess.run(["go", "list", "./..."], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    unknown = set(PLAIN) - set(out)
    if unknown:
        sys.exit(f"scripts/run_tests.py lists packages that are not there: {' '.join(sorted(unknown))}")
    return [p for p in out if p not in PLAIN], [p for p in out if p in PLAIN]


def go_tests(args):
    """Runs `go test -json` and returns counts; prints a line a package and the output of what failed."""
    counts, output = collections.Counter(), collections.defaultdict(list)
    skipped, broken = [], []
    proc = subprocess.Popen(["go", "test", "-json", *args], stdout=subprocess.PIPE, text=True)
    for line in proc.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            print(line, end="")
            continue
        package, test, action = event.get("Package") or event.get("ImportPath", ""), event.get("Test"), event["Action"]
        if action in ("output", "build-output"):
            output[package, test].append(event["Output"])
        elif action in ("pass", "fail", "skip") and test:
            counts[action] += 1
            if action == "fail":
                print("".join(output[package, test]), end="", flush=True)
            if action == "skip":
                skipped.append(f"{package} {test}: {''.join(output[package, test]).strip()}")
            output.pop((package, test), None)
        elif action in ("pass", "fail", "build-fail"):
            if action != "pass":
                print("".join(output[package, None]), end="")
                broken.append(package)
            print(f"{action:5} {package} ({event.get('Elapsed', 0):.1f} s)", flush=True)
    proc.wait()
    for line in skipped:
        print("SKIPPED " + line)
    if proc.returncode and not counts["fail"]:
        counts["fail"] += max(1, len(set(broken)))
    return counts


def browser_tests():
    """Runs the Playwright tests and returns counts."""
    report = os.path.join("test-results", "browser.json")
    os.makedirs("test-results", exist_ok=True)
    if os.path.exists(report):
        os.remove(report)
    env = {**os.environ, "PLAYWRIGHT_JSON_OUTPUT_NAME": report}
    code = subprocess.call(["npx", "--no-install", "playwright", "test", "--reporter=list,json"], env=env)
    counts = collections.Counter()
    try:
        stats = json.load(open(report))["stats"]
        counts.update({"pass": stats["expected"], "fail": stats["unexpected"] + stats["flaky"], "skip": stats["skipped"]})
    except (OSError, ValueError, KeyError) as e:
        print(f"the browser tests left no report: {e}")
    if code and not counts["fail"]:
        counts["fail"] += 1
    return counts


def main():
    began = time.time()
    race, plain = go_packages()
    total = go_tests(["-ldflags=-w", *plain])  # no debugger looks at these binaries, and linking is much of the time
    total += go_tests(["-race", "-ldflags=-w", *race])
    total += go_tests(["-run", "^TestLives$", "./internal/sim"])  # the race detector would slow it down too much
    total += go_tests(["-run", "^TestMakespan$", "./internal/compute/ec2compute"])  # likewise
    total += browser_tests()
    print(f"tests took {time.time() - began:.0f} s")
    closing = f"{total['pass']} passed, {total['fail']} failed"
    print(closing + (f", {total['skip']} skipped" if total["skip"] else ""))
    sys.exit(1 if total["fail"] or not total["pass"] else 0)


if __name__ == "__main__":
    main()
