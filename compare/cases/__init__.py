"""The cases, by what they are about. Importing this package declares them all."""
from . import exchanges  # noqa: F401
from . import bodies  # noqa: F401
from . import hop_by_hop  # noqa: F401
from . import failures  # noqa: F401
from . import timeouts  # noqa: F401
from . import aborts  # noqa: F401
from . import malformed  # noqa: F401
from . import cookies  # noqa: F401
from . import caching  # noqa: F401
from . import forwarding  # noqa: F401
from . import health  # noqa: F401
from . import balancing  # noqa: F401
