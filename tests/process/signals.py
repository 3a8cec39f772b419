# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about nodes that come and go."""
import signal

import grpc

import processes
from grpc_client import Client, expect_status


def expect_orderly_end(node, number, name):
    node.signal(number)
    assert node.wait() == 0, f"wanted exit code 0: {node}"
    assert any(name in line and "stop" in line for line in node.err.splitlines()), f"it does not say why: {node}"
    assert any("stopped" in line for line in node.err.splitlines()), f"it does not say that it stopped: {node}"


def check_other_node_serves_on(run, number, name):
    cluster = run.cluster()
    first, second = cluster.nodes
    with Client(run, cluster.gateways[0]) as client:
        assert client.call("CountLines", lines=[b"one two three"]).value == 3
        assert len(client.call("Owners").value) == 4
        expect_orderly_end(second, number, name)
        # The bound says "no hang"; a call that waited for it would end with another status.
        for _ in range(3):
            expect_status(grpc.StatusCode.UNAVAILABLE, client.call, "Owners", timeout=30)
        assert not first.ended(), first
    expect_orderly_end(first, number, name)


def test_sigterm_ends_a_node_and_the_other_serves_on(run):
    check_other_node_serves_on(run, signal.SIGTERM, "SIGTERM")


def test_sigint_ends_a_node_and_the_other_serves_on(run):
    check_other_node_serves_on(run, signal.SIGINT, "SIGINT")


def test_a_killed_node_is_unavailable_to_the_other(run):
    cluster = run.cluster()
    with Client(run, cluster.gateways[0]) as client:
        assert len(client.call("Owners").value) == 4
        cluster.nodes[1].kill()
        for _ in range(3):
            expect_status(grpc.StatusCode.UNAVAILABLE, client.call, "Owners", timeout=30)
    expect_orderly_end(cluster.nodes[0], signal.SIGTERM, "SIGTERM")


def start_alone(run):
    """Node 1 of two, and the cluster's peers."""
    for last in (False, False, True):
        ports = [processes.free_port(), processes.free_port()]
        peers = f"1=127.0.0.1:{ports[0]},2=127.0.0.1:{ports[1]}"
        node = run.start_node(1, peers)
        try:
            line = node.wait_for_line("not reachable", "err")
        except AssertionError:
            if last or "in use" not in node.err:
                raise
            continue
        assert f"127.0.0.1:{ports[1]}" in line or "node 2" in line, f"which peer? {line}"
        return node, peers
    return None


def test_a_node_waits_for_a_peer_that_is_down(run):
    node, peers = start_alone(run)
    assert "ready" not in node.out, f"ready without its peer: {node}"
    other = run.start_node(2, peers)
    gateways = [processes.gateway_of(each) for each in (node, other)]
    for gateway in gateways:
        with Client(run, gateway) as client:
            assert len(client.call("Owners").value) == 4
    for each in (node, other):
        expect_orderly_end(each, signal.SIGTERM, "SIGTERM")


def test_a_node_that_waits_for_a_peer_stops_on_sigterm(run):
    node, _ = start_alone(run)
    expect_orderly_end(node, signal.SIGTERM, "SIGTERM")


def test_a_node_comes_back(run):
    cluster = run.cluster()
    first, second = cluster.nodes
    peers = first.command[first.command.index("--peers") + 1]
    with Client(run, cluster.gateways[0]) as client:
        expect_orderly_end(second, signal.SIGTERM, "SIGTERM")
        expect_status(grpc.StatusCode.UNAVAILABLE, client.call, "Owners", timeout=30)
        again = run.start_node(2, peers)
        processes.gateway_of(again)

        def answered():
            try:
                return client.call("Owners", timeout=30).value
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                return None

        assert len(processes.wait_until(answered, "answer after the node came back")) == 4
    for node in (first, again):
        expect_orderly_end(node, signal.SIGTERM, "SIGTERM")


if __name__ == "__main__":
    processes.main()
