#!/usr/bin/env python3
"""Calls the server's methods: `client.py [ADDRESS]`, lb's own by default."""

import sys

import grpc

SIZES = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]


class Words:
    """The methods of `server.py`."""

    def __init__(self, address: str):
        self.channel = grpc.insecure_channel(address, options=SIZES)
        for name in ("Say", "Wait", "Fail"):
            setattr(self, name.lower(), self.channel.unary_unary(f"/demo.Words/{name}"))
        self.count = self.channel.unary_stream("/demo.Words/Count")
        self.sum = self.channel.stream_unary("/demo.Words/Sum")
        for name in ("Echo", "Early"):
            setattr(self, name.lower(), self.channel.stream_stream(f"/demo.Words/{name}"))


if __name__ == "__main__":
    words = Words(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50050")
    print("Say:", words.say(b"hello", timeout=10).decode())
    print("Count:", *(number.decode() for number in words.count(b"5", timeout=10)))
    print("Sum:", words.sum((b"%d" % number for number in range(10)), timeout=10).decode())
    print("Echo:", *(word.decode() for word in words.echo(iter([b"one", b"two"]), timeout=10)))
