# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about --doctor, and about starts where little of the machine is allowed."""
import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import uuid

import grpc

import grpc_client
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


def started(run, *arguments, command=()):
    """A node that is ready."""
    for last in (False, False, True):
        peers = f"1=127.0.0.1:{processes.free_port()}"
        node = run.start([*command, run.wordcount, "--peers", peers, *arguments])
        try:
            processes.gateway_of(node)
            break
        except AssertionError:
            if last or "in use" not in node.err:
                raise
    return node


def serves(run, *arguments, command=()):
    """A node starts, is ready and stops in order; the warnings and errors it wrote until it was ready."""
    node = started(run, *arguments, command=command)
    complaints = [line for line in node.err.splitlines() if line.startswith(("warning", "error"))]
    node.signal(signal.SIGTERM)
    assert node.wait() == 0, node
    return complaints


def test_doctor_describes_the_machine_and_the_plan(run):
    found = doctor(run)
    for name in ("kernel", "processors", "cpu quota", "NUMA nodes", "memory binding", "memory", "memory limit",
                 "huge pages", "io_uring", "membarrier", "epoll, eventfd", "descriptors", "clock source", "perf_event",
                 "pinning", "plan: shards", "plan: memory", "start of shards"):
        assert name in found, f"wanted {name}: {found}"
    assert os.uname().release in found["kernel"][1], found
    assert f"{len(os.sched_getaffinity(0))} allowed" in found["processors"][1], found
    assert found["start of shards"][0] == "ok", found


def test_doctor_plans_as_the_options_say(run):
    found = doctor(run, "--shards", 2, "--memory", "64M", "--no-pin")
    assert found["plan: shards"][1].startswith("2 on processors ") and "not pinned" in found["plan: shards"][1], found
    assert found["plan: memory"][1].startswith("32.0 MiB a shard"), found


def test_doctor_says_when_an_app_can_not_start(run):
    found = doctor(run, "--shards", 4, "--memory", "127M", code=1)
    assert found["plan: memory"][0] == "missing" and "32MiB" in found["plan: memory"][1], found
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


def test_too_little_memory_ends_a_start_with_one_line(run):
    little = ["prlimit", f"--as={600 * 2**20}"]
    tried = subprocess.run([*little, run.wordcount, "--help"], check=False, capture_output=True, timeout=60)
    if tried.returncode != 0:
        raise processes.Skip("this build does not run in 600 MiB of address space")
    found = doctor(run, "--shards", 200, "--no-pin", command=little, code=1)
    assert found["start of shards"][0] == "missing", found
    process = run.start([*little, run.wordcount, "--shards", 200, "--no-pin"])
    assert process.wait() == 1, process
    assert process.err.splitlines()[-1].startswith("wordcount: ") and "memory" in process.err.splitlines()[-1], process


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


def without(run, calls, errno="ENOSYS"):
    """A command that runs what follows it on a kernel that refuses these system calls."""
    command = [sys.executable, "-B", pathlib.Path(__file__).with_name("without.py"), "--errno", errno, calls]
    tried = run.start([*command, "true"])
    if tried.wait() == processes.SKIPPED:
        raise processes.Skip(tried.err.strip())
    assert tried.wait() == 0, tried
    return command


def test_a_kernel_without_io_uring_is_enough(run):
    old = without(run, "io_uring_setup")
    assert doctor(run, command=old)["io_uring"] == (
        "ok", "refused: Function not implemented, not used yet: epoll does its work")
    assert serves(run, "--shards", 2, command=old) == []


def test_a_kernel_without_membarrier_is_enough(run):
    old = without(run, "membarrier")
    state, text = doctor(run, command=old)["membarrier"]
    assert state == "degraded" and text.startswith("refused: Function not implemented"), text
    said = serves(run, "--shards", 2, command=old)
    assert len(said) == 1 and "membarrier" in said[0] and "Function not implemented" in said[0], said


def test_a_container_without_perf_event_is_enough(run):
    refused = without(run, "perf_event_open", "EPERM")
    state, text = doctor(run, command=refused)["perf_event"]
    assert state == "ok" and text.startswith("refused: Operation not permitted, not used yet: "), text
    assert serves(run, "--shards", 2, command=refused) == []


def test_a_kernel_without_huge_pages_is_enough(run):
    # The allocator gives memory back with the same call.
    for errno in ("EINVAL", "ENOSYS"):
        small = without(run, "madvise", errno)
        assert doctor(run, command=small)["start of shards"][0] == "ok"
        assert serves(run, "--shards", 2, command=small) == []


def test_a_container_that_binds_no_memory_is_enough(run):
    refused = without(run, "mbind,set_mempolicy,get_mempolicy,move_pages", "EPERM")
    found = doctor(run, command=refused)
    several = found["NUMA nodes"][1].count("; node ") > 1
    assert found["memory binding"][0] == ("degraded" if several else "ok"), found
    assert found["memory binding"][1].startswith("refused: Operation not permitted"), found
    assert found["start of shards"][0] == "ok", found
    assert serves(run, "--shards", 2, command=refused) == []


def test_a_container_that_pins_no_thread_is_enough(run):
    refused = without(run, "sched_setaffinity", "EPERM")
    found = doctor(run, "--shards", 2, command=refused)
    assert found["pinning"] == (
        "degraded", "refused: Operation not permitted; the system moves shards between processors"), found
    assert found["plan: shards"][1].endswith("not pinned"), found
    said = serves(run, "--shards", 2, command=refused)
    assert len(said) == 1 and "not pinned" in said[0] and "Operation not permitted" in said[0], said
    assert serves(run, "--shards", 2, "--no-pin", command=refused) == []


def test_a_kernel_without_timers_of_signals_is_enough(run):
    old = without(run, "timer_create")
    said = serves(run, "--shards", 1, command=old)
    assert len(said) == 1 and "quotas are coarse, and stalls are not reported" in said[0], said


def test_a_kernel_without_eventfd_ends_a_start_with_one_line(run):
    old = without(run, "eventfd2")
    assert doctor(run, command=old, code=1)["epoll, eventfd"] == (
        "missing", "refused: Function not implemented; no shard can wait for anything")
    process = run.start([*old, run.wordcount, "--shards", 2])
    assert process.wait() == 1, process
    assert process.err.count("\n") == 1 and "Function not implemented" in process.err, process


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


@contextlib.contextmanager
def container_of_256_MB(run):
    """A command that runs what follows it in there; the claim's processes have gone when the container does."""
    with limited_memory(256 * 2**20) as inside:
        try:
            yield inside
        finally:
            for process in run.processes:
                process.kill()


def test_a_container_of_256_MB_is_enough(run):
    with container_of_256_MB(run) as inside:
        found = doctor(run, "--shards", 2, command=inside)
        assert found["memory limit"][0] == "degraded" and found["memory limit"][1].startswith("256 MiB"), found
        assert found["plan: memory"][1].startswith("96.0 MiB a shard, 64.0 MiB left to the system"), found
        assert serves(run, "--shards", 2, command=inside) == []
        refused = doctor(run, "--shards", 2, "--memory", "300M", command=inside, code=1)
        assert refused["plan: memory"][0] == "missing", refused


def test_a_container_of_256_MB_and_one_processor_is_enough(run):
    with container_of_256_MB(run) as memory:
        inside = [*memory, "taskset", "-c", first_processor()]
        found = doctor(run, command=inside)
        assert found["plan: shards"][1].startswith("1 on processors "), found
        assert found["plan: memory"][1].startswith("192 MiB a shard, 64.0 MiB left to the system"), found
        assert serves(run, command=inside) == []
        assert serves(run, "--shards", 1, command=inside) == []
        assert serves(run, "--shards", 2, command=inside) == []


def words_of_60000_letters():
    """Each once."""
    for number in itertools.count():
        yield f"{number:x}".translate(str.maketrans("0123456789", "ghijklmnop")).ljust(60_000, "z").encode()


def fills_its_memory(run, client, calls):
    """Sends new words of 3.6 MB in each of the calls; the names of the statuses these ended with."""
    words = words_of_60000_letters()
    statuses = []
    for _ in range(calls):
        try:
            client.call("CountLines", lines=list(itertools.islice(words, 60)))
            statuses.append("OK")
        except grpc.RpcError as error:
            statuses.append(error.code().name)
            assert statuses[-1] == "RESOURCE_EXHAUSTED", f"{error}: {[str(p) for p in run.processes]}"
    return statuses


def test_more_than_a_container_holds_exhausts_a_resource(run):
    with container_of_256_MB(run) as memory:
        for shards in (1, 2):
            node = started(run, "--shards", shards, command=[*memory, "taskset", "-c", first_processor()])
            with grpc_client.Client(run, processes.gateway_of(node)) as client:
                statuses = fills_its_memory(run, client, calls=100)  # 360 MB
                assert statuses[:20] == ["OK"] * 20, statuses
                assert statuses[-10:] == ["RESOURCE_EXHAUSTED"] * 10, statuses
                # It serves on, and what it has counted is all there.
                assert client.call("CountLines", lines=[b"one two two"]).value == 3
                owners = client.call("Owners").value
                assert sum(owner.owned.words for owner in owners) >= 60 * statuses.count("OK") + 3, owners
                assert [entry.word for entry in client.call("Top", k=1).value] == ["two"]
            node.signal(signal.SIGTERM)
            assert node.wait() == 0, node


if __name__ == "__main__":
    processes.main()
