# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Starts the programs under test, waits for them with a bound, and stops them also when a test fails.

    def test_a_claim(run):              # run.programs, run.folder, run.start(...), run.cluster()
        node = run.start([run.programs / "wordcount", "--node", "1"])
        ...
    if __name__ == "__main__":
        processes.main()                # SCRIPT --programs FOLDER [CLAIM ...]

Every process started carries a mark in its environment, and so do its children: what is left of them is found in /proc
and killed, whoever else runs the same program on this machine. A claim's temporary files live in one folder.
"""
import argparse
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

WAIT_SECONDS = 30  # for one thing to happen; generous, since sanitizers are slow
POLL_SECONDS = 0.02
SKIPPED = 77  # the exit code that CTest knows as "skipped"
MARK = "ATOLL_TEST_PROCESS"


class Skip(Exception):
    """The claim can't be checked on this machine."""


def wait_until(condition, what, seconds=WAIT_SECONDS):
    """Polls until condition() is true, and gives what it returned."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"within {seconds} s there was no {what() if callable(what) else what}")
        time.sleep(POLL_SECONDS)


def free_port():
    """A port of 127.0.0.1 that nobody listens on, below the range the kernel takes ports from by itself."""
    for _ in range(100):
        port = random.SystemRandom().randrange(12000, 20000)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise AssertionError("found no free port")


class Process:
    """A running program. Its output goes to files, so that nobody waits on a full pipe."""

    def __init__(self, command, folder, environment):
        self.command = [str(part) for part in command]
        name = f"{os.path.basename(self.command[0])}-{uuid.uuid4().hex[:8]}"
        self.out_file = folder / f"{name}.out"
        self.err_file = folder / f"{name}.err"
        # setpriv execs: the process is still ours by id, and it goes when we are killed.
        with open(self.out_file, "wb") as out, open(self.err_file, "wb") as err:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)

    @property
    def out(self):
        return self.out_file.read_text(errors="replace")

    @property
    def err(self):
        return self.err_file.read_text(errors="replace")

    def ended(self):
        return self.child.poll() is not None

    def wait(self, seconds=WAIT_SECONDS):
        """The exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} did not end within {seconds} s") from None

    def wait_for_line(self, text, stream="out"):
        """The first whole line of its output that contains the text."""

        def look():
            gone = self.ended()  # before reading: what it wrote last is seen too
            for line in getattr(self, stream).splitlines(keepends=True):
                if text in line and line.endswith("\n"):
                    return line.rstrip("\n")
            if gone:
                raise AssertionError(f"{self} ended before it said '{text}'")
            return None

        return wait_until(look, lambda: f"line with '{text}' on {stream} of {self}")

    def signal(self, number):
        if not self.ended():
            self.child.send_signal(number)

    def kill(self):
        if not self.ended():
            self.child.kill()
        self.child.wait(WAIT_SECONDS)

    def __str__(self):
        code = self.child.poll()
        state = "running" if code is None else f"exit code {code}"
        return f"{' '.join(self.command)} ({state})\n--- stdout\n{self.out}--- stderr\n{self.err}---"


class Cluster:
    """Two nodes of two shards each, both ready."""

    def __init__(self, run, nodes):
        self.nodes = nodes
        self.gateways = [gateway_of(node) for node in nodes]
        self.run = run

    def stop(self):
        for node in self.nodes:
            node.signal(signal.SIGTERM)
        for node in self.nodes:
            assert node.wait() == 0, f"a node did not end in order: {node}"


def gateway_of(node):
    """Where the node's gateway listens; waits until the node is ready."""
    return node.wait_for_line(" ready: gateway ").rsplit(" ", 1)[1]


class Run:
    """What one claim started and wrote."""

    def __init__(self, programs, protoc):
        self.programs = programs
        self.protoc = protoc
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll_process_test."))
        self.temporary = self.folder / "tmp"  # of the programs: what they leave there is seen
        self.temporary.mkdir()
        self.mark = uuid.uuid4().hex
        self.environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.environment.update({MARK: self.mark, "TMPDIR": str(self.temporary), "ATOLL_NO_LOG_TIMES": "1"})
        self.processes = []

    @property
    def wordcount(self):
        return self.programs / "wordcount"

    def start(self, command):
        process = Process(command, self.folder, self.environment)
        self.processes.append(process)
        return process

    def start_node(self, node, peers, gateway="127.0.0.1:0"):
        return self.start([self.wordcount, "--shards", 2, "--no-pin", "--node", node, "--peers", peers,
                           "--gateway", gateway])

    def cluster(self):
        # Somebody may take a port between the look and the use: then once more, with others.
        for last in (False, False, True):
            peers = f"1=127.0.0.1:{free_port()},2=127.0.0.1:{free_port()}"
            nodes = [self.start_node(node, peers) for node in (1, 2)]
            try:
                return Cluster(self, nodes)
            except AssertionError:
                for node in nodes:
                    node.kill()
                if last or not any("in use" in node.err for node in nodes):
                    raise
        return None

    def left(self):
        """The processes that carry the mark, by id: name. Those that ended and were not waited for don't count."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                folder = pathlib.Path("/proc") / entry
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(entry)] = (folder / "comm").read_text().strip()
        return found

    def close(self):
        for process in self.processes:
            process.kill()
        end = time.monotonic() + WAIT_SECONDS
        while self.left() and time.monotonic() < end:
            for pid in self.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


def _stop(number, _frame):
    raise SystemExit(f"ended by {signal.Signals(number).name}")


def main():
    claims = {name[len("test_"):]: value for name, value in vars(sys.modules["__main__"]).items()
              if name.startswith("test_")}
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="the folder of wordcount and its client")
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--seconds", type=int, default=240, help="after that the claim has failed. Default: 240")
    parser.add_argument("claims", nargs="*", help="default: all")
    settings = parser.parse_args()
    unknown = set(settings.claims) - claims.keys()
    if unknown:
        parser.error(f"no such claim: {', '.join(sorted(unknown))}; there are: {', '.join(claims)}")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGALRM, _stop)  # a bound on the whole: then what was started is stopped too

    outcomes = []
    for name in settings.claims or claims:
        run = Run(settings.programs.resolve(), settings.protoc)
        signal.alarm(settings.seconds)
        try:
            claims[name](run)
            outcome = "passed"
        except Skip as why:
            outcome = f"skipped: {why}"
        except Exception:  # the other claims are still worth a look
            traceback.print_exc()
            outcome = "FAILED"
        finally:
            signal.alarm(0)
            run.close()
        print(f"{name}: {outcome}", flush=True)
        outcomes.append(outcome)
    if "FAILED" in outcomes:
        sys.exit(1)
    sys.exit(0 if "passed" in outcomes else SKIPPED)
