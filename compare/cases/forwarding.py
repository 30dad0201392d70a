"""`forwardfor` and its options, on the frontend and on the backend."""

from configurations import (
    FORWARD_BACKEND,
    FORWARD_BOTH,
    FORWARD_BOTH_EXCEPT,
    FORWARD_BOTH_IF_NONE,
    FORWARD_DEFAULTS,
    FORWARD_EXCEPT,
    FORWARD_EXCEPT_HOST,
    FORWARD_HEADER,
    FORWARD_IF_NONE,
    FORWARD_NOT,
)
from twin.suite import case, exchange, get

PRESENT = get("/", "X-Forwarded-For: 10.1.2.3", "X-Client: 10.9.9.9", "X-After: 1")

for configuration in (
    FORWARD_NOT,
    FORWARD_EXCEPT,
    FORWARD_EXCEPT_HOST,
    FORWARD_HEADER,
    FORWARD_IF_NONE,
    FORWARD_BACKEND,
    FORWARD_BOTH,
    FORWARD_BOTH_EXCEPT,
    FORWARD_BOTH_IF_NONE,
    FORWARD_DEFAULTS,
):
    exchange(f"{configuration.name}-absent", configuration, get())
    exchange(f"{configuration.name}-present", configuration, PRESENT)

    def from_other_address(world):
        client = world.client(source="127.0.0.9")
        client.request(get())
        client.end()

    case(f"{configuration.name}-other-client", configuration)(from_other_address)
