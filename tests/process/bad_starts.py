# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about wordcount's command line: a start that can't work ends, with one line that names what is wrong."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess

import processes
from grpc_client import compiled
from google.protobuf import descriptor_pb2

LOG_LINES = ("info ", "warning ")


def one_line_of(process):
    """The line that says why it ended: the only one that is no log line, and the last."""
    lines = process.err.splitlines()
    others = [line for line in lines if not line.startswith(LOG_LINES)]
    assert len(others) == 1, f"wanted one line that is no log line: {process}"
    assert others[0].startswith("wordcount: "), f"wanted a line that begins with 'wordcount: ': {process}"
    assert lines[-1] == others[0], f"wanted that line at the end: {process}"
    return others[0]


def expect_refused(run, *arguments, names, command=None):
    """The start fails, and its line names all of `names`."""
    process = run.start([*(command or [run.wordcount]), *arguments])
    code = process.wait()
    assert code > 0, f"wanted an exit code that says failure: {process}"
    assert "ready" not in process.out, process
    line = one_line_of(process)
    for name in names:
        assert name.lower() in line.lower(), f"wanted '{name}' in '{line}': {process}"
    assert not run.left(), f"left behind: {run.left()} by {process}"
    return line


def expect_refused_node(run, *arguments, names, **named):
    """As expect_refused, of a node that would be all of its cluster."""
    # Somebody may take the port between the look and the use: then once more, with another.
    for _ in range(3):
        port = processes.free_port()
        try:
            peers = f"1=127.0.0.1:{port}"
            return expect_refused(run, "--shards", 1, "--peers", peers, *arguments, names=names, **named)
        except AssertionError:
            if f"127.0.0.1:{port}: Address already in use" not in run.processes[-1].err:
                raise
    raise AssertionError("found no free port")


@contextlib.contextmanager
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_an_unknown_flag(run):
    expect_refused(run, "--no-such-flag", names=["--no-such-flag"])
    expect_refused(run, "stray", names=["stray"])


def test_shards_0(run):
    expect_refused(run, "--shards", 0, names=["--shards", "0"])


def test_shards_100000(run):
    expect_refused(run, "--shards", 100000, names=["--shards", "100000"])


def test_shards_that_are_no_number(run):
    for text in ("abc", "2x", "-1", "1.5"):
        expect_refused(run, f"--shards={text}", names=["--shards", text])
    expect_refused(run, "--shards=", names=["--shards"])


def test_malformed_peers(run):
    for text, offending in (("nonsense", "nonsense"), ("x=127.0.0.1:7001", "x=127.0.0.1:7001"),
                            ("=127.0.0.1:7001", "=127.0.0.1:7001"), ("1=127.0.0.1", "127.0.0.1"),
                            ("1=127.0.0.1:port", "127.0.0.1:port"), ("1=127.0.0.1:70000", "127.0.0.1:70000"),
                            ("1=127.0.0.1:7001;2=127.0.0.1:7002", "7001;2=127.0.0.1:7002"),
                            ("1=127.0.0.1:7001,,2=127.0.0.1:7002", "peer ''"), ("4294967297=127.0.0.1:1", "4294967297"),
                            ("1=127.0.0.1:7001,1=127.0.0.1:7002", "two peers are node 1")):
        expect_refused(run, "--gateway", "127.0.0.1:0", "--peers", text, names=[offending])


def test_a_node_that_is_not_among_the_peers(run):
    expect_refused(run, "--node", 3, "--peers", "1=127.0.0.1:7001,2=127.0.0.1:7002", names=["node 3", "peers"])


def test_a_node_number_of_more_than_32_bits(run):
    # 2^32 + 1 is no way to say 1.
    expect_refused_node(run, "--node", 2**32 + 1, names=[str(2**32 + 1)])


def test_a_taken_rpc_port(run):
    with taken_port() as port:
        expect_refused(run, "--peers", f"1=127.0.0.1:{port}", names=[f"127.0.0.1:{port}", "in use"])


def test_a_taken_gateway_port(run):
    with taken_port() as port:
        expect_refused_node(run, "--gateway", f"127.0.0.1:{port}", names=[f"127.0.0.1:{port}", "in use"])


def address_of_nobody_here():
    """Of the ranges for documentation (RFC 5737). Binding sends nothing."""
    for host in ("192.0.2.1", "198.51.100.1", "203.0.113.1"):
        with socket.socket() as probe:
            try:
                probe.bind((host, 0))
            except OSError:
                return host
    raise processes.Skip("this machine may bind to every address")


def test_an_address_of_another_machine(run):
    host = address_of_nobody_here()
    expect_refused_node(run, "--gateway", f"{host}:0", names=[f"{host}:0", "assign"])
    expect_refused(run, "--peers", f"1={host}:0", names=[f"{host}:0", "assign"])


def test_a_malformed_gateway_address(run):
    for text in ("nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:65536", "127.0.0.1:-1",
                 "127.0.0.1:80:90"):
        expect_refused_node(run, "--gateway", text, names=[text])


def test_a_port_it_may_not_have(run):
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest <= 80:
        raise processes.Skip(f"anybody may have port 80 here (ip_unprivileged_port_start is {lowest})")
    command = None
    if os.geteuid() == 0:
        # Where nobody may read it too.
        program = run.folder / "wordcount"
        shutil.copy(run.wordcount, program)
        program.chmod(0o755)
        run.folder.chmod(0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*nobody, "test", "-x", program], check=False, timeout=60).returncode != 0:
            raise processes.Skip(f"{program} can't be run as nobody")
        command = [*nobody, program]
    expect_refused_node(run, "--gateway", "127.0.0.1:80", names=["127.0.0.1:80", "permission"], command=command)


def test_help_names_the_options(run):
    process = run.start([run.wordcount, "--help"])
    assert process.wait() == 0, process
    assert process.err == "", process
    for option in ("--shards", "--node", "--peers", "--gateway"):
        assert option in process.out, f"wanted {option}: {process}"


def test_print_proto_compiles(run):
    process = run.start([run.wordcount, "--print-proto"])
    assert process.wait() == 0, process
    file = descriptor_pb2.FileDescriptorProto.FromString(compiled(run, process.out))
    assert file.package == "wordcount.v1" and file.syntax == "proto3", file
    methods = {method.name for service in file.service for method in service.method}
    assert methods >= {"CountLines", "Top", "Words", "Owners"}, methods


if __name__ == "__main__":
    processes.main()
