"""What one case left behind with one proxy: an ordered list of named facts.

The judge knows nothing of HTTP: it compares facts of the same label. Everything that must not count
(ports, dates) is kept out or masked where the fact is written down.
"""

import hashlib
import threading

SHOWN_BODY_BYTES = 1024


class Record:
    def __init__(self):
        self.facts = {}
        self.log = []
        self.masks = []
        self.lock = threading.Lock()

    def add(self, label, value):
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        for mask in self.masks:
            value = mask(str(value))
        with self.lock:
            number, unique = 1, label
            while unique in self.facts:
                number += 1
                unique = f"{label} #{number}"
            self.facts[unique] = str(value)

    def add_head(self, label, head):
        first, _, rest = head.partition(b"\r\n")
        self.add(f"{label} line", first)
        self.add(f"{label} headers", rest.removesuffix(b"\r\n\r\n"))

    def add_body(self, label, body, trailers=b""):
        self.add(f"{label} body", shown_body(body))
        if trailers:
            self.add(f"{label} trailers", trailers)


def shown_body(body):
    if len(body) <= SHOWN_BODY_BYTES:
        return body
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"
