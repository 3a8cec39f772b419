# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about tools/gdb/atoll.py, the debugger's commands."""
import pathlib
import shutil

import processes

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "gdb" / "atoll.py"


def gdb(run, *arguments):
    """A gdb that has run these commands."""
    if shutil.which("gdb") is None:
        raise processes.Skip("there is no gdb")
    process = run.start(["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set confirm off",
                         "-x", SCRIPT, *arguments])
    process.wait(200)
    if "Python scripting is not supported" in process.err:
        raise processes.Skip("this gdb knows no python")
    if "ptrace" in process.err and "Operation not permitted" in process.err:
        raise processes.Skip("this machine forbids debugging")
    return process


def stopped(run, *commands):
    """A gdb in which the program has aborted when everything waited."""
    steps = [part for command in ("run", *commands) for part in ("-ex", command)]
    debugger = gdb(run, *steps, "--args", run.programs / "atoll_test_waiting", "--shards", "2", "--no-pin", "--abort")
    if "SIGABRT" not in debugger.out:
        # Sanitizers and some containers don't let themselves be traced.
        if "LeakSanitizer" in debugger.err or "During startup program" in debugger.out + debugger.err:
            raise processes.Skip("the program can't be run in gdb here")
        raise AssertionError(f"the program did not get to its end: {debugger}")
    return debugger


def lines_of(debugger):
    """Where the coroutines wait, by name, as the program printed it."""
    line = next(each for each in debugger.out.splitlines() if each.startswith("innermost:"))
    return {name: int(number) for name, number in (part.split(":") for part in line.split())}


def check_table(debugger, out, lines, shard):
    rows = out.splitlines()
    begin = next(i for i, row in enumerate(rows) if row.startswith(f"shard {shard}: ") and "coroutines" in row)
    end = next((i for i, row in enumerate(rows) if i > begin and row.startswith("shard ")), len(rows))
    rows = rows[begin + 1:end]

    def row_of(name):
        wanted = f"waiting::{name}  "
        found = [row for row in rows if wanted in row]
        assert len(found) == 1, f"{name} is in {len(found)} rows: {debugger}"
        assert f"waiting_program.cc:{lines[name]}  " in found[0], f"wanted line {lines[name]}: {found[0]}"
        return found[0]

    def indent(row):
        return len(row) - len(row.lstrip())

    assert indent(row_of("innermost")) == indent(row_of("outermost")) + 2, debugger
    assert "deadline in " in row_of("bounded"), row_of("bounded")
    assert row_of("one_of_many").lstrip().startswith("x 1000  "), row_of("one_of_many")
    for name in lines:
        assert "  main" in row_of(name), row_of(name)


def test_shows_the_tasks_of_a_stopped_process(run):
    debugger = stopped(run, "atoll shards", "atoll tasks", "atoll tasks 1")
    lines = lines_of(debugger)
    for shard in (0, 1):
        assert f"shard {shard}: thread " in debugger.out, debugger
    whole, one = debugger.out.split("shard 1: thread ", 1)[1], debugger.out.rsplit("shard 1: ", 1)
    check_table(debugger, whole, lines, 0)
    check_table(debugger, whole, lines, 1)
    check_table(debugger, "shard 1: " + one[1], lines, 1)


def test_shows_the_tasks_of_a_core_file(run):
    core = run.temporary / "core"
    first = stopped(run, f"generate-core-file {core}")
    if not core.exists():
        raise processes.Skip("gdb writes no core files here")
    debugger = gdb(run, "-ex", "atoll shards", "-ex", "atoll tasks", run.programs / "atoll_test_waiting", core)
    for shard in (0, 1):
        assert f"shard {shard}: thread " in debugger.out, debugger
        check_table(debugger, debugger.out.split("shard 1: thread ", 1)[1], lines_of(first), shard)


def test_complains_in_one_line(run):
    program = run.programs / "atoll_test_waiting"
    for command, complaint in (("atoll tasks", "no process and no core file"), ("atoll shards", "no process"),
                               ("atoll shards 1", "takes no argument"), ("atoll tasks x", "not 'x'")):
        debugger = gdb(run, "-ex", command, program)
        said = [line for line in debugger.err.splitlines() if "atoll" in line]
        assert len(said) == 1 and complaint in said[0], f"{command}: {debugger}"
        assert "Traceback" not in debugger.err, debugger
    debugger = stopped(run, "atoll tasks 7")
    assert "there is no shard 7" in debugger.err and "Traceback" not in debugger.err, debugger


if __name__ == "__main__":
    processes.main()
