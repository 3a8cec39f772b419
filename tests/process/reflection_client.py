# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about the gateway, as a stock python client sees it."""
import collections
import random

import grpc

import processes
from grpc_client import (SERVICE, Client, Reflection, compiled, expect_status, message_class, own_proto, pool_of)
from google.protobuf import descriptor_pb2

REQUEST_BYTES_MAX = 4 << 20


def shape(file):
    """A FileDescriptorProto without what may differ: the file's name, and the JSON names protoc fills in."""
    described = descriptor_pb2.FileDescriptorProto.FromString(file)
    described.ClearField("name")
    for message in described.message_type:
        for field in message.field:
            field.ClearField("json_name")
    return described


def printed_proto(run):
    printer = run.start([run.wordcount, "--print-proto"])
    assert printer.wait() == 0, printer
    return printer.out


def test_finds_the_service_by_reflection(run):
    cluster = run.cluster()
    found = {}
    for version in ("v1", "v1alpha"):
        with Client(run, cluster.gateways[0]) as client:
            reflection = Reflection(run, client.channel, version)
            (listed,) = reflection.ask({"list_services": ""})
            names = [service.name for service in listed.list_services_response.service]
            assert SERVICE in names, names
            assert "wordcount.v1.Tally" not in names, f"not exposed, and yet listed: {names}"

            by_symbol = reflection.files(file_containing_symbol=SERVICE)
            file = descriptor_pb2.FileDescriptorProto.FromString(by_symbol[0])
            assert reflection.files(file_by_filename=file.name) == by_symbol
            symbols = [f"{file.package}.{message.name}" for message in file.message_type]
            symbols += [f"{SERVICE}.{method.name}" for method in file.service[0].method]
            assert len(symbols) > 10, symbols
            for symbol in symbols:
                assert reflection.files(file_containing_symbol=symbol) == by_symbol, symbol

            # One stream takes many requests, and one that finds nothing doesn't end it.
            answers = reflection.ask({"file_containing_symbol": "no.such.Symbol"},
                                     {"file_by_filename": "no/such.proto"},
                                     {"list_services": "*"}, {"file_containing_symbol": SERVICE})
            for missing in answers[:2]:
                assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], missing
                assert "no" in missing.error_response.error_message, missing
            assert list(answers[3].file_descriptor_response.file_descriptor_proto) == by_symbol
            found[version] = by_symbol
    assert found["v1"] == found["v1alpha"]
    assert shape(found["v1"][0]) == shape(compiled(run, printed_proto(run), "printed.proto")), \
        "reflection and --print-proto differ"
    cluster.stop()


def test_counts_words(run):
    cluster = run.cluster()
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(chance.choices(letters, k=chance.randrange(1, 9))) for _ in range(400)]
    lines = [" ".join(chance.choice(vocabulary) for _ in range(20)) for _ in range(100)]
    # More than a page holds: 60 words of 60,000 letters.
    lines += [letters[i % 26] * 30_000 + letters[i // 26] * 30_000 for i in range(60)]
    expected = collections.Counter(word for line in lines for word in line.split())

    with Client(run, cluster.gateways[0]) as first, Client(run, cluster.gateways[1]) as second:
        half = len(lines) // 2
        for client, part in ((first, lines[:half]), (second, lines[half:half + 50]), (first, lines[half + 50:])):
            reply = client.call("CountLines", lines=[line.upper().encode() for line in part])
            assert reply.value == sum(len(line.split()) for line in part)

        for client in (first, second):  # both nodes give the whole
            top = [(entry.word, entry.count) for entry in client.call("Top", k=25).value]
            assert top == sorted(expected.items(), key=lambda e: (-e[1], e[0]))[:25], top

            pages = 0
            words = {}
            after = ""
            while True:
                page = client.call("Words", after=after)
                pages += 1
                for entry in page.entries:
                    assert entry.word > after, "out of order"
                    after = entry.word
                    words[entry.word] = entry.count
                if not page.more:
                    break
                assert page.entries and pages < 1000, "an endless listing"
            assert words == expected
            assert pages > 1, "this text was meant to fill several pages"

            owners = client.call("Owners").value
            assert [(o.node, o.shard) for o in owners] == [(1, 0), (1, 1), (2, 0), (2, 1)], owners
            assert sum(o.owned.words for o in owners) == sum(expected.values()), owners
            assert sum(o.owned.distinct for o in owners) == len(expected), owners
            assert all(o.owned.distinct > 0 for o in owners), f"a shard owns nothing: {owners}"
    cluster.stop()


def test_sees_the_health(run):
    cluster = run.cluster()
    pool = pool_of([compiled(run, own_proto("health.proto"))])
    request = message_class(pool, "grpc.health.v1.HealthCheckRequest")
    response = message_class(pool, "grpc.health.v1.HealthCheckResponse")
    for gateway in cluster.gateways:
        with Client(run, gateway) as client:
            check = client.channel.unary_unary("/grpc.health.v1.Health/Check",
                                               request_serializer=request.SerializeToString,
                                               response_deserializer=response.FromString)
            for service in ("", SERVICE):
                status = check(request(service=service), timeout=30).status
                assert status == response.SERVING, f"'{service}' is {status}"
            expect_status(grpc.StatusCode.NOT_FOUND, check, request(service="no.such.Service"), timeout=30)
    cluster.stop()


def blank_line_request(client, size):
    """An encoded CountLinesRequest of that many bytes, without a word in it."""
    request, _ = client.method("CountLines")
    line = b" " * (size - 16)
    line += b" " * (size - request(lines=[line]).ByteSize())
    encoded = request(lines=[line]).SerializeToString()
    assert len(encoded) == size
    return encoded


def with_client(run, check):
    """check(client), then a call as usual: the gateway has survived it."""
    cluster = run.cluster()
    with Client(run, cluster.gateways[0]) as client:
        check(client)
        assert client.call("CountLines", lines=[b"still here"]).value == 2
        assert {e.word for e in client.call("Top", k=1000).value} >= {"still", "here"}
    with Client(run, cluster.gateways[0]) as client:  # and over a new connection
        assert client.call("CountLines", lines=[b"still here"]).value == 2
    cluster.stop()


def test_gets_unimplemented_for_an_unknown_method(run):
    def check(client):
        for path in (f"/{SERVICE}/Nope", f"/{SERVICE}/", f"/{SERVICE}/top", "/no.such.Service/Top",
                     "/wordcount.v1.Tally/Top", "/Top"):
            expect_status(grpc.StatusCode.UNIMPLEMENTED, client.raw, path)
            expect_status(grpc.StatusCode.UNIMPLEMENTED, client.raw, path, b"x" * 100_000)

    with_client(run, check)


def test_gets_invalid_argument_for_bytes_that_are_no_request(run):
    def check(client):
        # With and without a key: the key is looked for before there is a shard to decode on.
        for method in ("CountLines", "CountLongWord", "Top", "Words"):
            for garbage in (b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a", b"\x0b\x0c", b"\x80" * 20):
                expect_status(grpc.StatusCode.INVALID_ARGUMENT, client.raw, f"/{SERVICE}/{method}", garbage)

    with_client(run, check)


def test_gets_resource_exhausted_for_a_message_above_the_limit(run):
    def check(client):
        path = f"/{SERVICE}/CountLines"
        client.raw(path, blank_line_request(client, REQUEST_BYTES_MAX))  # the limit itself is fine
        expect_status(grpc.StatusCode.RESOURCE_EXHAUSTED, client.raw, path,
                      blank_line_request(client, REQUEST_BYTES_MAX + 1))
        expect_status(grpc.StatusCode.RESOURCE_EXHAUSTED, client.raw, path,
                      blank_line_request(client, 3 * REQUEST_BYTES_MAX))

    with_client(run, check)


def test_gets_the_services_own_errors(run):
    def check(client):
        details = expect_status(grpc.StatusCode.OUT_OF_RANGE, client.call, "Top", k=5000)
        assert "1000" in details, details
        expect_status(grpc.StatusCode.INVALID_ARGUMENT, client.call, "CountLines", lines=[b"a" * 65_537])

    with_client(run, check)


def test_gets_deadline_exceeded(run):
    def check(client):
        lines = [b"%x" % i for i in range(400_000)]
        for _ in range(5):
            expect_status(grpc.StatusCode.DEADLINE_EXCEEDED, client.call, "CountLines", timeout=0.001, lines=lines)
        expect_status(grpc.StatusCode.DEADLINE_EXCEEDED, client.call, "Top", timeout=-1, k=1)

    with_client(run, check)


if __name__ == "__main__":
    processes.main()
