# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about --doctor, and about starts where little of the machine is allowed."""
import contextlib
import os
import pathlib
import signal
import subprocess
import uuid

import processes


def doctor(run, *arguments, command=(), code=0):
    """The facts of --doctor by name: (state, what was found)."""
    process = run.start([*command, run.wordcount, "--doctor", *arguments])
    assert process.wait() == code, process
    found = {}
    for line in process.out.splitlines():
        state, name, text = line[:9].strip(), line[10:25].strip(), line[26:]
        assert state in ("ok", "degraded", "missing") and name and text, f"'{line}': {process}"
        found[name] = (state, text)
    return found


def serves(run, *arguments, command=()):
    """A node starts, is ready and stops in order."""
    for last in (False, False, True):
        peers = f"1=127.0.0.1:{processes.free_port()}"
        node = run.start([*command, run.wordcount, "--peers", peers, *arguments])
        try:
            processes.gateway_of(node)
            break
        except AssertionError:
            if last or "in use" not in node.err:
                raise
    node.signal(signal.SIGTERM)
    assert node.wait() == 0, node


def test_doctor_describes_the_machine_and_the_plan(run):
    found = doctor(run)
    for name in ("kernel", "processors", "cpu quota", "NUMA nodes", "memory", "memory limit", "huge pages", "io_uring",
                 "membarrier", "epoll, eventfd", "descriptors", "clock source", "perf_event", "pinning", "plan: shards",
                 "plan: memory", "start of shards"):
        assert name in found, f"wanted {name}: {found}"
    assert os.uname().release in found["kernel"][1], found
    assert f"{len(os.sched_getaffinity(0))} allowed" in found["processors"][1], found
    assert found["start of shards"][0] == "ok", found


def test_doctor_plans_as_the_options_say(run):
    found = doctor(run, "--shards", 2, "--memory", "64M", "--no-pin")
    assert found["plan: shards"][1].startswith("2 on processors ") and "not pinned" in found["plan: shards"][1], found
    assert found["plan: memory"][1].startswith("32.0 MiB a shard"), found


def test_doctor_says_when_an_app_can_not_start(run):
    found = doctor(run, "--shards", 4, "--memory", "63M", code=1)
    assert found["plan: memory"][0] == "missing" and "16MiB" in found["plan: memory"][1], found
    assert "start of shards" not in found, found


def first_processor():
    return min(os.sched_getaffinity(0))


def test_one_processor_is_enough(run):
    cpu = first_processor()
    taskset = ["taskset", "-c", cpu]
    found = doctor(run, command=taskset)
    assert found["processors"][1].startswith(f"1 allowed ({cpu})"), found
    assert found["plan: shards"] == ("ok", f"1 on processors {cpu}"), found
    serves(run, command=taskset)
    serves(run, "--shards", 2, command=taskset)
    assert doctor(run, "--shards", 2, command=taskset)["plan: shards"][0] == "degraded"


def test_the_cpuset_is_kept_to(run):
    cpu = first_processor()
    assert doctor(run, "--cpuset", cpu)["plan: shards"] == ("ok", f"1 on processors {cpu}")
    serves(run, "--cpuset", cpu)
    process = run.start([run.wordcount, "--cpuset", 1000])
    assert process.wait() == 2 and "--cpuset" in process.err and process.err.count("\n") == 1, process


def test_few_descriptors_are_seen(run):
    found = doctor(run, command=["prlimit", "--nofile=200:200"])
    assert found["descriptors"][0] == "degraded" and found["descriptors"][1].startswith("200,"), found
    serves(run, "--shards", 2, command=["prlimit", "--nofile=200:200"])


def test_too_few_descriptors_end_a_start_with_one_line(run):
    few = ["prlimit", "--nofile=6:6"]
    found = doctor(run, "--shards", 4, command=few, code=1)
    assert found["start of shards"][0] == "missing" and "Too many open files" in found["start of shards"][1], found
    process = run.start([*few, run.wordcount, "--shards", 4])
    assert process.wait() == 1, process
    assert process.err.count("\n") == 1 and "Too many open files" in process.err, process


def test_a_limit_of_the_address_space_is_seen(run):
    # A sanitizer's shadow needs more than that.
    limited = ["prlimit", f"--as={2**30}"]
    tried = subprocess.run([*limited, run.wordcount, "--help"], check=False, capture_output=True, timeout=60)
    if tried.returncode != 0:
        raise processes.Skip("this build does not run in 1 GiB of address space")
    found = doctor(run, "--shards", 1, command=limited)
    state, text = found["address space"]
    assert state == "degraded" and "1.00 GiB" in text, found
    serves(run, "--shards", 1, command=limited)


@contextlib.contextmanager
def limited_memory(limit):
    """A command that runs what follows it in a cgroup with this limit.

    With systemd a scope of its own. Else in a new cgroup below the folder that ATOLL_TEST_CGROUP names, of v1's memory
    controller or of v2: nobody's cgroups are changed without being asked.
    """
    if pathlib.Path("/run/systemd/system").exists():
        user = [] if os.geteuid() == 0 else ["--user"]
        scope = ["systemd-run", *user, "--scope", "--quiet", "--collect", f"--property=MemoryMax={limit}"]
        if subprocess.run([*scope, "true"], check=False, capture_output=True, timeout=60).returncode == 0:
            yield scope
            return
    parent = os.environ.get("ATOLL_TEST_CGROUP")
    if not parent:
        raise processes.Skip("no systemd to ask for a cgroup, and ATOLL_TEST_CGROUP names no folder to make one in")
    folder = pathlib.Path(parent) / f"atoll_test_{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        v2 = (folder / "memory.max").exists()
        (folder / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(limit))
        yield ["sh", "-c", f'echo $$ >"{folder}/cgroup.procs" && exec "$@"', "sh"]
    finally:
        # Who was in it may still be on the way out.
        processes.wait_until(lambda: _removed(folder), f"way to remove {folder}")


def _removed(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def test_a_container_of_256_MB_is_enough(run):
    with limited_memory(256 * 2**20) as inside:
        try:
            found = doctor(run, "--shards", 2, command=inside)
            assert found["memory limit"][0] == "degraded" and found["memory limit"][1].startswith("256 MiB"), found
            assert found["plan: memory"] == ("ok", "96.0 MiB a shard, 64.0 MiB left to the system"), found
            serves(run, "--shards", 2, command=inside)
            refused = doctor(run, "--shards", 2, "--memory", "300M", command=inside, code=1)
            assert refused["plan: memory"][0] == "missing", refused
        finally:
            for process in run.processes:
                process.kill()


if __name__ == "__main__":
    processes.main()
