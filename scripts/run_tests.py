#!/usr/bin/env python3
"""Runs vet, the Go tests and the browser tests, shows what failed, and closes with one line that counts them."""
import collections
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
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


class Pass:
    """Tests that run beside others: its output appears line by line, or as a whole, when it is complete."""

    lock = threading.Lock()

    def __init__(self, name, *steps):
        self.name, self.steps, self.counts, self.took = name, steps, collections.Counter(), 0.0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        began = time.time()
        try:
            for step in self.steps:
                self.counts += step()
        except Exception as e:  # a pass that cannot run has failed
            say(f"{self.name}: {e}")
            self.counts["fail"] += 1
        self.took = time.time() - began

    def wait(self):
        self.thread.join()
        return self.counts


def say(text):
    """Prints whole lines, whoever else prints."""
    with Pass.lock:
        print(text.rstrip("\n"), flush=True)


@contextlib.contextmanager
def servers():
    """Lets the test binaries of this run use one DynamoDB Local and one PostgreSQL (internal/testenv/shared). The servers end with
    this process, however it ends: they read from a pipe that only it writes to."""
    # The directory has the same name each time, since go test keeps results by the values of variables. A second run of the same
    # tree at the same time goes without.
    tree = hashlib.sha256(os.getcwd().encode()).hexdigest()[:12]
    where = os.path.join(tempfile.gettempdir(), f"greenroom-tests-{os.getuid()}-{tree}")
    with open(os.path.join(".cache", "test-servers.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(where, ignore_errors=True)
            os.mkdir(where, 0o700)
        except OSError:
            yield
            return
        pipe = os.path.join(where, "leash")
        os.mkfifo(pipe, 0o600)
        leash = os.open(pipe, os.O_RDWR)
        os.environ["GREENROOM_TEST_SERVERS"] = where
        try:
            yield
        finally:
            os.close(leash)
            shutil.rmtree(where, ignore_errors=True)


def vet():
    """Runs go vet once for everything, and counts it as one test; go test would run it again for each kind of build."""
    out = subprocess.run(["go", "vet", "./..."], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if out.returncode:
        say(out.stdout + "fail  go vet")
    return collections.Counter({"fail" if out.returncode else "pass": 1})


def go_tests(*args):
    """Runs `go test -json` and returns counts; prints a line a package and the output of what failed."""
    counts, output = collections.Counter(), collections.defaultdict(list)
    skipped, broken = [], []
    proc = subprocess.Popen(["go", "test", "-json", "-vet=off", "-timeout=40m", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in proc.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            say(line)
            continue
        package, test, action = event.get("Package") or event.get("ImportPath", ""), event.get("Test"), event["Action"]
        if action in ("output", "build-output"):
            output[package, test].append(event["Output"])
        elif action in ("pass", "fail", "skip") and test:
            counts[action] += 1
            if action == "fail":
                say("".join(output[package, test]))
            if action == "skip":
                skipped.append(f"{package} {test}: {''.join(output[package, test]).strip()}")
            output.pop((package, test), None)
        elif action in ("pass", "fail", "build-fail"):
            if action != "pass":
                say("".join(output[package, None]))
                broken.append(package)
            say(f"{action:5} {package} ({event.get('Elapsed', 0):.1f} s)")
    proc.wait()
    for line in skipped:
        say("SKIPPED " + line)
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
    done = subprocess.run(["npx", "--no-install", "playwright", "test", "--reporter=list,json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    say(done.stdout)
    counts = collections.Counter()
    try:
        with open(report) as f:
            stats = json.load(f)["stats"]
        counts.update({"pass": stats["expected"], "fail": stats["unexpected"] + stats["flaky"], "skip": stats["skipped"]})
    except (OSError, ValueError, KeyError) as e:
        say(f"the browser tests left no report: {e}")
    if done.returncode and not counts["fail"]:
        counts["fail"] += 1
    return counts


def main():
    began = time.time()
    race, plain = go_packages()
    total = collections.Counter()
    with servers():
        # The first pass and the browser's drive programs and wait for them much of the time; meanwhile the second compiles and computes.
        passes = [
            Pass("plain",
                 lambda: go_tests("-ldflags=-w", *plain),  # no debugger looks at these binaries, and linking is much of the time
                 lambda: go_tests("-run", "^TestLives$", "./internal/sim"),  # the race detector would slow it down too much
                 lambda: go_tests("-run", "^TestMakespan$", "./internal/compute/ec2compute"),  # likewise
                 vet,
                 browser_tests),
            Pass("race", lambda: go_tests("-race", "-ldflags=-w", *race)),
        ]
        for p in passes:
            total += p.wait()
    print(", ".join(f"{p.name} {p.took:.0f} s" for p in passes) + f"; together {time.time() - began:.0f} s")
    closing = f"{total['pass']} passed, {total['fail']} failed"
    print(closing + (f", {total['skip']} skipped" if total["skip"] else ""))
    sys.exit(1 if total["fail"] or not total["pass"] else 0)


if __name__ == "__main__":
    main()
