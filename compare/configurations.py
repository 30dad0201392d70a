"""Every configuration that cases run in, as pairs of haproxy.cfg and lb.toml."""

from twin.configuration import CHECK, FORWARDFOR, NOTHING, SECONDS, Configuration, checked_server, plain_server

SHORT_TIMEOUTS = "connect 200ms client 600ms server 300ms"


def servers(*names, **options):
    return {name: plain_server(name) for name in names}


# The seed's own, to the letter but for its port numbers.
SEED = Configuration(
    "seed", check=CHECK, servers={name: checked_server(name) for name in ("web-a", "web-b")}, checked=True
)
# The seed's with short timeouts, and without checks, so that a server that misbehaves is still chosen.
SHORT = Configuration("short-timeouts", SHORT_TIMEOUTS)
# No connection to a server has been used before.
FRESH = Configuration("fresh", SHORT_TIMEOUTS, align=False)
HTTP_TIMEOUTS = Configuration(
    "http-timeouts", "connect 200ms client 700ms server 2s http-request 300ms http-keep-alive 150ms"
)
REFUSES = Configuration("refuses", SHORT_TIMEOUTS, align=False, refusing=("web-a", "web-b"))
ONE_REFUSES = Configuration("one-refuses", SHORT_TIMEOUTS, align=False, refusing=("web-a",))
ONE_REFUSES_REDISPATCH = Configuration(
    "one-refuses-redispatch",
    SHORT_TIMEOUTS,
    align=False,
    refusing=("web-a",),
    defaults=("option redispatch", "redispatch = true"),
)
LONE_REFUSES_REDISPATCH = Configuration(
    "lone-refuses-redispatch",
    SHORT_TIMEOUTS,
    align=False,
    servers=servers("web-a"),
    refusing=("web-a",),
    defaults=("option redispatch", "redispatch = true"),
)
CONNECT_HANGS = Configuration("connect-hangs", SHORT_TIMEOUTS, align=False, hanging=("web-a", "web-b"))
SHORT_RETRIES = {
    count: Configuration(
        f"retries-{count}",
        SHORT_TIMEOUTS,
        align=False,
        refusing=("web-a", "web-b"),
        defaults=(f"retries {count}", f"retries = {count}"),
    )
    for count in (0, 1)
}
LOG_NULL = Configuration("log-null", SHORT_TIMEOUTS, dontlognull=False)
LOG_PLAIN = Configuration("log-plain", httplog=False, align=False)
FULL_FRONTEND = Configuration(
    "full-frontend", frontend=("maxconn 1\noption forwardfor", "maxconn = 1\nforwardfor = true")
)
FULL_LISTENER = Configuration("full-listener", bind=("maxconn 1", "maxconn = 1"))
FULL_PROCESS = Configuration("full-process", maxconn=2)


# Cookie modes
def cookie_mode(name, options, **more):
    """`options` are HAProxy's words; a word with a value is joined to it by `=`."""
    toml, words = ['name = "SERVER"'], ["cookie SERVER"]
    lists = {}
    for option in options.split():
        key, _, value = option.partition("=")
        words.append(f"{key} {value}".strip())
        if key in ("domain", "attr"):
            lists.setdefault(key, []).append(f'"{value}"')
        else:
            toml.append(f'{key} = "{value}"' if value else f"{key} = true")
    toml += [f"{key} = [{', '.join(values)}]" for key, values in lists.items()]
    return Configuration(f"cookie-{name}", cookie=(" ".join(words), f"cookie = {{ {', '.join(toml)} }}"), **more)


COOKIE_MODES = [
    cookie_mode("insert", "insert"),
    cookie_mode("insert-indirect", "insert indirect"),
    cookie_mode("insert-nocache", "insert nocache"),
    cookie_mode("insert-preserve", "insert preserve"),
    cookie_mode("insert-indirect-preserve", "insert indirect preserve nocache"),
    cookie_mode("insert-postonly", "insert indirect nocache postonly"),
    cookie_mode("insert-httponly-secure", "insert indirect nocache httponly secure"),
    cookie_mode("insert-domain", "insert indirect domain=.example.test"),
    cookie_mode("insert-domains", "insert domain=.example.test domain=.other.test"),
    cookie_mode(
        "insert-attrs", "insert indirect httponly secure domain=.example.test attr=SameSite=Lax attr=Priority=High"
    ),
    cookie_mode("rewrite", "rewrite"),
    cookie_mode("rewrite-nocache", "rewrite nocache"),
    cookie_mode("rewrite-postonly", "rewrite postonly"),
    cookie_mode("prefix", "prefix"),
    cookie_mode("prefix-nocache", "prefix nocache"),
    cookie_mode("prefix-indirect", "prefix indirect"),
    cookie_mode("prefix-indirect-preserve", "prefix indirect preserve"),
    cookie_mode("passive", ""),
    cookie_mode("passive-indirect", "indirect"),
    cookie_mode("passive-preserve-indirect", "preserve indirect"),
]
DATED_COOKIE_MODES = [
    cookie_mode("maxidle", "insert indirect nocache maxidle=1h"),
    cookie_mode("maxlife", "insert indirect nocache maxlife=24h"),
    cookie_mode("maxidle-maxlife", "insert indirect nocache maxidle=1h maxlife=24h"),
    cookie_mode("maxidle-direct", "insert maxidle=1h"),
]
NO_COOKIE_VALUE = Configuration("cookie-server-without", servers={"web-a": plain_server("web-a"), "web-b": NOTHING})


# Forwarded addresses
FORWARD_NOT = Configuration("forwardfor-not", frontend=NOTHING)
FORWARD_EXCEPT = Configuration(
    "forwardfor-except", frontend=("option forwardfor except 127.0.0.0/8", 'forwardfor = { except = ["127.0.0.0/8"] }')
)
FORWARD_EXCEPT_HOST = Configuration(
    "forwardfor-except-host", frontend=("option forwardfor except 127.0.0.1", 'forwardfor = { except = ["127.0.0.1"] }')
)
FORWARD_HEADER = Configuration(
    "forwardfor-header", frontend=("option forwardfor header X-Client", 'forwardfor = { header = "X-Client" }')
)
FORWARD_IF_NONE = Configuration(
    "forwardfor-if-none", frontend=("option forwardfor if-none", "forwardfor = { if_none = true }")
)
FORWARD_BACKEND = Configuration("forwardfor-backend", frontend=NOTHING, backend=FORWARDFOR)
FORWARD_BOTH = Configuration(
    "forwardfor-both",
    frontend=("option forwardfor header X-Client", 'forwardfor = { header = "X-Client" }'),
    backend=FORWARDFOR,
)
FORWARD_BOTH_EXCEPT = Configuration(
    "forwardfor-both-except",
    frontend=("option forwardfor except 127.0.0.9", 'forwardfor = { except = ["127.0.0.9"] }'),
    backend=("option forwardfor header X-Client", 'forwardfor = { header = "X-Client" }'),
)
FORWARD_BOTH_IF_NONE = Configuration(
    "forwardfor-both-if-none",
    frontend=("option forwardfor", "forwardfor = true"),
    backend=("option forwardfor if-none", "forwardfor = { if_none = true }"),
)
FORWARD_DEFAULTS = Configuration(
    "forwardfor-defaults",
    frontend=NOTHING,
    defaults=("option forwardfor if-none", "forwardfor = { if_none = true }"),
)


# Health
CHECK_TIMEOUTS = "connect 5s client 10s server 10s check 2s"


def checked(
    name, options=("", ""), check=CHECK, extra=None, inter="100ms", fall=1, rise=5, timeouts=CHECK_TIMEOUTS, **more
):
    """Checked often, with time enough for answers on a busy machine; `extra`: further server options, as pairs."""
    extra = extra or {"web-a": NOTHING, "web-b": NOTHING}
    all_servers = {
        server: (
            f"check inter {inter} fall {fall} rise {rise} cookie {server} {options[0]} {own[0]}",
            f'check = true\ninter = "{inter}"\nfall = {fall}\nrise = {rise}\ncookie = "{server}"\n{options[1]}\n{own[1]}',
        )
        for server, own in extra.items()
    }
    return Configuration(name, timeouts, check=check, servers=all_servers, checked=True, **more)


CHECKED_FAST = checked("checked-fast")
# Without a timeout of their own, checks have their interval to answer in.
CHECKED_SLOWLY = checked("checked-slowly", inter="400ms", timeouts=SECONDS)
FALL_3_RISE_2 = checked("fall-3-rise-2", fall=3, rise=2)
CHECKED_TCP = checked("checked-tcp", check=NOTHING, align=False, tcp_checked=True)
CHECK_VARIANTS = [
    checked("check-default", check=("option httpchk", "httpchk = true"), health_path="/"),
    checked("check-uri-only", check=("option httpchk /status", 'httpchk = "/status"')),
    checked("check-get", check=CHECK),
    checked("check-head-http11", check=("option httpchk HEAD /status HTTP/1.1", 'httpchk = "HEAD /status HTTP/1.1"')),
    checked(
        "check-send",
        check=(
            "option httpchk\nhttp-check send meth GET uri /status ver HTTP/1.1 hdr Host example.test hdr X-A b",
            'httpchk = { method = "GET", uri = "/status", version = "HTTP/1.1", headers = { Host = "example.test", X-A = "b" } }',
        ),
    ),
    checked(
        "check-expect",
        check=(
            "option httpchk GET /status\nhttp-check expect status 200-204",
            'httpchk = { method = "GET", uri = "/status", expect = ["200-204"] }',
        ),
    ),
]
BACKUPS = checked(
    "backups",
    extra={
        "web-a": NOTHING,
        "web-b": NOTHING,
        "web-c": ("backup", "backup = true"),
        "web-d": ("backup", "backup = true"),
    },
    align=False,
)
PERSISTENT_LEFT_ALONE = Configuration(
    "weight-0",
    align=False,
    servers={
        "web-a": plain_server("web-a"),
        "web-b": plain_server("web-b"),
        "web-c": ("cookie web-c weight 0", 'cookie = "web-c"\nweight = 0'),
        "web-d": ("cookie web-d disabled", 'cookie = "web-d"\ndisabled = true'),
    },
)


# Balancing
def weighted(prefix, balance, weights, **more):
    names = ("web-a", "web-b", "web-c", "web-d")
    pairs = {
        name: (f"cookie {name} weight {weight}", f'cookie = "{name}"\nweight = {weight}')
        for name, weight in zip(names, weights)
    }
    return Configuration(
        f"{prefix}-{'-'.join(map(str, weights))}",
        balance=(f"balance {balance}", f'balance = "{balance}"'),
        servers=pairs,
        align=False,
        requests=sum(weights),
        **more,
    )


ROUND_ROBINS = [
    weighted("roundrobin", "roundrobin", weights)
    for weights in (
        (1, 1),
        (1, 1, 1),
        (1, 2),
        (2, 1),
        (1, 2, 3),
        (3, 2, 1),
        (3, 1),
        (5, 1, 1),
        (2, 2, 1),
        (4, 3, 2, 1),
        (7, 3),
        (1, 0, 1),
        (10, 10, 5),
        (6, 4, 2),
    )
]
ROUND_ROBIN_CHECKED = checked(
    "roundrobin-checked", extra={"web-a": NOTHING, "web-b": NOTHING, "web-c": NOTHING}, align=False
)
LEASTCONN = weighted("leastconn", "leastconn", (1, 1, 1))
LEASTCONN_WEIGHTED = weighted("leastconn", "leastconn", (1, 2, 3))
SOURCES = [weighted("source", "source", weights) for weights in ((1, 1), (1, 1, 1), (1, 2, 3))]
SOURCE_CHECKED = checked(
    "source-checked",
    balance=("balance source", 'balance = "source"'),
    align=False,
    extra={"web-a": NOTHING, "web-b": NOTHING, "web-c": NOTHING},
)
ONE_EACH = {name: (f"cookie {name} maxconn 1", f'cookie = "{name}"\nmaxconn = 1') for name in ("web-a", "web-b")}
# HAProxy 2.6 serves clients that have left unless it is told not to; lb does not, as HAProxy from 3.3 on.
MAXCONN_1 = Configuration(
    "maxconn-1",
    "connect 200ms client 2s server 2s queue 300ms",
    servers=ONE_EACH,
    defaults=("", "abortonclose = false"),
)
MAXCONN_1_ABORT = Configuration(
    "maxconn-1-abort",
    "connect 200ms client 2s server 2s queue 300ms",
    servers=ONE_EACH,
    defaults=("option abortonclose", "abortonclose = true"),
)
CONNECT_HANGS_ABORT = Configuration(
    "connect-hangs-abort",
    "connect 2s client 2s server 2s",
    align=False,
    hanging=("web-a", "web-b"),
    defaults=("option abortonclose", ""),
)
MAXCONN_ONE_SERVER = Configuration(
    "maxconn-one-server",
    "connect 200ms client 2s server 2s queue 300ms",
    align=False,
    servers={"web-a": ("cookie web-a maxconn 1", 'cookie = "web-a"\nmaxconn = 1'), "web-b": plain_server("web-b")},
)
