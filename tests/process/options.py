# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about the settings of an app: flags, environment, file, what is printed of them, and what is refused."""
import os
import random

import processes


def start(run, *arguments, variables=None):
    """An ended wordcount with these arguments and environment variables."""
    before = dict(run.environment)
    run.environment.update(variables or {})
    try:
        process = run.start([run.wordcount, *arguments])
    finally:
        run.environment = before
    process.wait()
    return process


def settings(run, *arguments, variables=None):
    """What --print-config says, by key: (value, where it came from)."""
    process = start(run, *arguments, "--print-config", variables=variables)
    assert process.child.returncode == 0 and process.err == "", process
    found = {}
    for line in process.out.splitlines():
        if not line.startswith("# "):
            text, where = line.rsplit("  # ", 1)
            key, value = text.split(" = ", 1)
            found[key] = (value[1:-1], where)
    return found


def refused(run, *arguments, names, variables=None):
    """The start ends with code 2 and one line on stderr that has all the names."""
    process = start(run, *arguments, variables=variables)
    assert process.child.returncode == 2, process
    assert process.out == "", process
    assert process.err.count("\n") == 1 and process.err.startswith("wordcount: "), process
    assert len(process.err) < 600, f"{len(process.err)} bytes: {process.err[:1000]}"
    for name in names:
        assert str(name) in process.err, f"wanted '{name}': {process}"


def config(run, content, name="app.conf"):
    path = run.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_flag_over_environment_over_file_over_default(run):
    path = config(run, "seed = 1\npoll-time = 1us\ntask-quota = 1ms\nnode = 4\n")
    found = settings(run, "--config", path, "--seed", 3, variables={"ATOLL_SEED": "2", "ATOLL_POLL_TIME": "2us"})
    assert found["seed"] == ("3", "flag --seed"), found
    assert found["poll-time"] == ("2us", "environment ATOLL_POLL_TIME"), found
    assert found["task-quota"] == ("1ms", f"file {path} line 3"), found
    assert found["node"] == ("4", f"file {path} line 4"), found
    assert found["stall-threshold"] == ("25ms", "default"), found


def test_an_apps_own_options_have_its_name_in_the_environment(run):
    found = settings(run, variables={"WORDCOUNT_NODE": "7", "WORDCOUNT_PRINT_PROTO": "yes"})
    assert found["node"] == ("7", "environment WORDCOUNT_NODE"), found
    assert found["print-proto"] == ("true", "environment WORDCOUNT_PRINT_PROTO"), found
    process = start(run, variables={"WORDCOUNT_PRINT_PROTO": "1"})
    assert process.child.returncode == 0 and 'syntax = "proto3"' in process.out, process


def test_an_empty_variable_is_not_set(run):
    empty = {"ATOLL_SEED": "", "ATOLL_CONFIG": "", "WORDCOUNT_NODE": "", "ATOLL_NO_PIN": ""}
    found = settings(run, variables=empty)
    for key in ("seed", "node", "no-pin"):
        assert found[key][1] == "default", found


def test_the_file_may_be_named_in_the_environment(run):
    first, second = config(run, "seed = 1", "first"), config(run, "seed = 2", "second")
    assert settings(run, variables={"ATOLL_CONFIG": str(first)})["seed"] == ("1", f"file {first} line 1")
    both = settings(run, "--config", second, variables={"ATOLL_CONFIG": str(first)})
    assert both["seed"] == ("2", f"file {second} line 1"), both


def test_a_variable_of_ours_that_sets_nothing_is_named(run):
    process = start(run, "--print-config", variables={"ATOLL_SHARD": "2", "ATOLL_TEST_X": "1", "SHARDS": "3"})
    assert process.child.returncode == 0, process
    assert process.err.splitlines() == ["wordcount: environment ATOLL_SHARD: no option is set by it"], process


def test_what_is_printed_is_a_file_with_the_same_settings(run):
    flags = ["--no-pin", "--poll-time", "1500us", "--shards", 2, "--peers", "a 'b' \"c\" # \\"]
    printed = config(run, start(run, "--print-config", *flags).out)
    first, again = settings(run, *flags), settings(run, "--config", printed)
    assert {k: v[0] for k, v in first.items()} == {k: v[0] for k, v in again.items()}, (first, again)


def test_bad_flags_are_refused(run):
    refused(run, "--no-such", names=["--no-such"])
    refused(run, "--shards", names=["--shards", "NUMBER"])
    refused(run, "--shards", 1, "--shards", 2, names=["--shards", "2 times"])
    refused(run, "--shards=", names=["--shards", "1 to 256", "''"])
    refused(run, "--no-pin=", names=["--no-pin", "true or false"])
    refused(run, "--no-pin=maybe", names=["--no-pin", "true or false", "maybe"])
    refused(run, "--poll-time", "2s", names=["--poll-time", "from 0 to 1s", "2s"])
    refused(run, "--task-quota", "1", names=["--task-quota", "from 10us to 1s"])
    refused(run, "--stall-threshold", "-1ms", names=["--stall-threshold", "from 0 to 1h"])
    refused(run, "--memory", "1.5G", names=["--memory", "like 512M", "1.5G"])
    refused(run, "--memory", "1", names=["--memory", "from 32MiB", "'1'"])
    refused(run, "--reserve-memory", "99999999999999999999", names=["--reserve-memory"])
    refused(run, "--cpuset", "5000", names=["--cpuset", "5000", "processors like 0,2-5"])
    refused(run, "--seed", "18446744073709551616", names=["--seed", "0 to 18446744073709551615"])
    refused(run, "--shards", "x" * 100_000, names=["--shards", "1 to 256"])
    refused(run, "--shards", "1\n2\x1b[31m", names=["1\\n2\\x1b[31m"])
    refused(run, "--bad\nflag", names=["--bad\\nflag"])


def test_bad_variables_are_refused(run):
    refused(run, variables={"ATOLL_SHARDS": "0"}, names=["environment ATOLL_SHARDS", "1 to 256", "'0'"])
    refused(run, "--shards", 2, variables={"ATOLL_SHARDS": "many"}, names=["environment ATOLL_SHARDS", "many"])
    refused(run, variables={"WORDCOUNT_NODE": "-1"}, names=["environment WORDCOUNT_NODE", "0 to 4294967295", "-1"])
    refused(run, variables={"ATOLL_POLL_TIME": "\udcff"}, names=["ATOLL_POLL_TIME", "\\xff"])
    refused(run, variables={"ATOLL_CONFIG": "/no/such"}, names=["ATOLL_CONFIG", "/no/such", "No such file"])


def test_bad_files_are_refused(run):
    def refused_text(content, *names):
        path = config(run, content)
        refused(run, "--config", path, names=[path, *names])

    refused_text("shards = 1\n\nshards = 2\n", "line 3", "shards", "second time")
    refused_text("shards = 1\nshard = 2\n", "line 2", "'shard'")
    refused_text("[wordcount]\nnode = 2\n", "line 1", "KEY = VALUE")
    refused_text("node\n", "line 1", "KEY = VALUE")
    refused_text("shards = 0\n", "line 1: shards", "1 to 256", "'0'")
    refused_text("seed =\n", "line 1: seed", "''")
    refused_text("config = x\n", "'config'")
    refused_text("doctor = true\n", "'doctor'")
    refused_text("log = \"x\n", "line 1", "log")
    refused_text(b"seed = \xff\xfe\n", "\\xff\\xfe")
    refused_text(b"\xff" * 1000, "line 1", "\\xff")
    refused_text("seed = " + "1" * 1_000_000, "line 1: seed")
    refused_text("x" * 1_000_000, "line 1", "KEY = VALUE")
    refused_text("#" * 2_000_000, "more than 1048576 bytes")
    refused_text("\n" * 1_000_000 + "x", "line 1000001")
    refused(run, "--config", run.folder, names=[run.folder, "is a directory"])
    refused(run, "--config", run.folder / "missing", names=["missing", "No such file"])
    refused(run, "--config", "/dev/zero", names=["/dev/zero", "no regular file"])
    refused(run, "--config", "", names=["--config", "No such file"])
    fifo = run.folder / "fifo"
    os.mkfifo(fifo)
    refused(run, "--config", fifo, names=["fifo", "no regular file"])


def test_harmless_files_are_read(run):
    for content in (b"", b"\n", b"# nothing\r\n; here", b"\xef\xbb\xbfseed = 0", b"#" * 1_000_000):
        settings(run, "--config", config(run, content))
    found = settings(run, "--config", config(run, b"peers = \xff\xfe \n"))
    assert found["peers"][1].endswith("line 1"), found


def test_random_bytes_in_a_file_end_in_order(run):
    chance = random.Random(1)
    pieces = [b"shards", b"seed", b"log", b"=", b" = ", b"\n", b"#", b'"', b"'", b"\\x4", b"1", b"[", b"]", b"\0",
              b"\xff"]
    for number in range(100):
        noise = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        content = b"".join(chance.choice(pieces) for _ in range(chance.randrange(30))) if number % 2 else noise
        process = start(run, "--config", config(run, content), "--print-config")
        assert process.child.returncode in (0, 2), f"{content!r}: {process}"
        assert process.err.count("\n") == (1 if process.child.returncode == 2 else 0), f"{content!r}: {process}"


def test_help_names_variable_default_and_bounds_of_each_option(run):
    process = start(run, "--help", "--no-such", variables={"ATOLL_SHARDS": "bad"})
    assert process.child.returncode == 0 and process.err == "", process
    lines = process.out.splitlines()
    for flag, wanted in {
            "--shards NUMBER":
                "a number from 1 to 256; default: one a processor this process may use; env: ATOLL_SHARDS",
            "--task-quota DURATION": "a duration like 40us, from 10us to 1s; default: 500us; env: ATOLL_TASK_QUOTA",
            "--stall-threshold DURATION":
                "a duration like 40us, from 0 to 1h; default: 25ms; env: ATOLL_STALL_THRESHOLD",
            "--memory SIZE": 
                "0, or a size like 512M, from 32MiB to 1024TiB; default: 0; env: ATOLL_MEMORY",
            "--node NUMBER": "a number from 0 to 4294967295; default: 1; env: WORDCOUNT_NODE",
            "--no-pin": "default: off; env: ATOLL_NO_PIN"}.items():
        assert f"  {flag}" in lines, f"wanted {flag}: {process}"
        assert lines[lines.index(f"  {flag}") + 2].strip() == wanted, f"wanted {wanted}: {process}"
    for flag in ("--config FILE", "--print-config", "--doctor", "--help"):
        assert f"  {flag}" in lines, f"wanted {flag}: {process}"


if __name__ == "__main__":
    processes.main()
