#!/usr/bin/env python3
"""A gRPC server with a method of each kind: `server.py NAME ADDRESS`. Its messages are plain bytes, so that nothing has to
be generated; says on stdout what is given up under way."""

import sys
import threading
import time
from concurrent import futures

import grpc


def say(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("served-by", NAME),))
    return request


def count(request: bytes, context: grpc.ServicerContext):
    for number in range(int(request)):
        yield b"%d" % number
        time.sleep(0.05)


def total(requests, context: grpc.ServicerContext) -> bytes:
    return b"%d" % sum(int(request) for request in requests)


def echo(requests, context: grpc.ServicerContext):
    yield from requests


def early(requests, context: grpc.ServicerContext):
    """Answers while its client goes on sending."""
    yield next(requests)
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "that was enough")


def wait(request: bytes, context: grpc.ServicerContext) -> bytes:
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(60)
    print(f"given up: {request.decode()}, {context.time_remaining() is not None}", flush=True)
    return b""


def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("reason-bin", b"\x00\xff"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "no such word: ä")


METHODS = {
    "Say": grpc.unary_unary_rpc_method_handler(say),
    "Wait": grpc.unary_unary_rpc_method_handler(wait),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Sum": grpc.stream_unary_rpc_method_handler(total),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
    "Early": grpc.stream_stream_rpc_method_handler(early),
}

NAME = sys.argv[1]
SIZES = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]

if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(64), options=[*SIZES, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("demo.Words", METHODS),))
    port = server.add_insecure_port(sys.argv[2])
    server.start()
    print(f"{NAME} listens on {port}", flush=True)
    server.wait_for_termination()
