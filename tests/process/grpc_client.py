# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""A gRPC client that knows nothing of the service but what server reflection tells: stock grpcio and protobuf.

    with grpc_client.Client(run, "127.0.0.1:50051") as client:
        reply = client.call("Top", k=10)
"""
import pathlib
import subprocess

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "wordcount.v1.WordCount"
CALL_SECONDS = 60  # the deadline of a call that is expected to be answered


def message_class(pool, name):
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def pool_of(files):
    """A pool of its own, of encoded FileDescriptorProtos that depend on nothing."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file)
    return pool


def compiled(run, text, name="compiled.proto"):
    """The encoded FileDescriptorProto that protoc makes of a .proto file's text."""
    source = run.folder / name
    source.write_text(text)
    result = run.folder / f"{name}.set"
    subprocess.run([run.protoc, f"--proto_path={run.folder}", f"--descriptor_set_out={result}", name],
                   check=True, timeout=60)
    return descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes()).file[0].SerializeToString()


def own_proto(name):
    return (pathlib.Path(__file__).parent / name).read_text()


class Reflection:
    """One stream of a server's reflection. Closed by its end, so that the server is not waited for."""

    def __init__(self, run, channel, version="v1"):
        package = f"grpc.reflection.{version}"
        text = own_proto("reflection.proto").replace("grpc.reflection.v1;", f"{package};")
        pool = pool_of([compiled(run, text)])
        self.request = message_class(pool, f"{package}.ServerReflectionRequest")
        self.info = channel.stream_stream(
            f"/{package}.ServerReflection/ServerReflectionInfo",
            request_serializer=self.request.SerializeToString,
            response_deserializer=message_class(pool, f"{package}.ServerReflectionResponse").FromString)

    def ask(self, *questions):
        """The answers to some requests, all sent over one stream."""
        requests = [self.request(**question) for question in questions]
        answers = list(self.info(iter(requests), timeout=CALL_SECONDS))
        assert len(answers) == len(requests), f"{len(requests)} requests and {len(answers)} answers"
        for request, answer in zip(requests, answers):
            assert answer.original_request == request, f"the answer is to another request: {answer}"
        return answers

    def files(self, **question):
        (answer,) = self.ask(question)
        assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
        return list(answer.file_descriptor_response.file_descriptor_proto)


class Client:
    def __init__(self, run, address):
        self.channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self.pool = pool_of(Reflection(run, self.channel).files(file_containing_symbol=SERVICE))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def method(self, name):
        found = self.pool.FindServiceByName(SERVICE).FindMethodByName(name)
        request = message_class(self.pool, found.input_type.full_name)
        reply = message_class(self.pool, found.output_type.full_name)
        call = self.channel.unary_unary(f"/{SERVICE}/{name}", request_serializer=request.SerializeToString,
                                        response_deserializer=reply.FromString)
        return request, call

    def call(self, method, timeout=CALL_SECONDS, **fields):
        """Fails with grpc.RpcError."""
        request, call = self.method(method)
        return call(request(**fields), timeout=timeout)

    def raw(self, path, request=b"", timeout=CALL_SECONDS):
        """Bytes for bytes."""
        return self.channel.unary_unary(path)(request, timeout=timeout)


def expect_status(code, call, *arguments, **named):
    """The details of a call that has to fail with the code."""
    try:
        reply = call(*arguments, **named)
    except grpc.RpcError as error:
        assert error.code() == code, f"wanted {code}, got {error.code()}: {error.details()}"
        return error.details()
    raise AssertionError(f"wanted {code}, got a reply: {str(reply)[:200]}")
