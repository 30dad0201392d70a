"""The cases, by what they are about. Importing this package declares them all."""

from . import (
    aborts,  # noqa: F401
    balancing,  # noqa: F401
    bodies,  # noqa: F401
    caching,  # noqa: F401
    cookies,  # noqa: F401
    exchanges,  # noqa: F401
    failures,  # noqa: F401
    forwarding,  # noqa: F401
    health,  # noqa: F401
    hop_by_hop,  # noqa: F401
    limits,  # noqa: F401
    malformed,  # noqa: F401
    timeouts,  # noqa: F401
)
