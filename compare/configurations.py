"""Every configuration that cases run in, as pairs of haproxy.cfg and lb.toml."""

from twin.configuration import CHECK, COOKIE, NOTHING, Configuration, checked_server, plain_server

SHORT_TIMEOUTS = "connect 200ms client 600ms server 300ms"


def servers(*names, **options):
    return {name: plain_server(name) for name in names}


# The seed's own, to the letter but for its port numbers.
SEED = Configuration("seed", check=CHECK, servers={name: checked_server(name) for name in ("web-a", "web-b")}, checked=True)
# The seed's with short timeouts, and without checks, so that a server that misbehaves is still chosen.
SHORT = Configuration("short-timeouts", SHORT_TIMEOUTS)
HTTP_TIMEOUTS = Configuration("http-timeouts", "connect 200ms client 700ms server 5s http-request 300ms http-keep-alive 150ms")
REFUSES = Configuration("refuses", SHORT_TIMEOUTS, align=False, refusing=("web-a", "web-b"))
ONE_REFUSES = Configuration("one-refuses", SHORT_TIMEOUTS, align=False, refusing=("web-a",))
ONE_REFUSES_REDISPATCH = Configuration("one-refuses-redispatch", SHORT_TIMEOUTS, align=False, refusing=("web-a",),
                                       defaults=("option redispatch", "redispatch = true"))
CONNECT_HANGS = Configuration("connect-hangs", SHORT_TIMEOUTS, align=False, hanging=("web-a", "web-b"))
ABORT_ON_CLOSE = Configuration("abortonclose", SHORT_TIMEOUTS, defaults=("option abortonclose", "abortonclose = true"))
