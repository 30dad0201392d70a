"""Persistence by cookie: what is recognised in a request, what is cut out of it, what is set in a response."""

from configurations import COOKIE_MODES, DATED_COOKIE_MODES, NO_COOKIE_VALUE, SEED
from twin.cookie_dates import dated, hide_dates
from twin.suite import case, exchange, get, ok

# What requests carry
for name, lines in {
    "valid": ["Cookie: SERVER=web-b"],
    "invalid": ["Cookie: SERVER=web-x"],
    "empty-value": ["Cookie: SERVER="],
    "without-value": ["Cookie: SERVER"],
    "others-only": ["Cookie: a=1; b=2"],
    "first": ["Cookie: SERVER=web-b; a=1; b=2"],
    "middle": ["Cookie: a=1; SERVER=web-b; b=2"],
    "last": ["Cookie: a=1; b=2; SERVER=web-b"],
    "middle-invalid": ["Cookie: a=1; SERVER=web-x; b=2"],
    "middle-empty-value": ["Cookie: a=1; SERVER=; b=2"],
    "in-first-header": ["Cookie: SERVER=web-b", "X-A: 1", "Cookie: a=1"],
    "in-second-header": ["Cookie: a=1", "X-A: 1", "Cookie: b=2; SERVER=web-b"],
    "twice-same": ["Cookie: SERVER=web-b; SERVER=web-b"],
    "twice-different": ["Cookie: SERVER=web-b; SERVER=web-a"],
    "twice-first-invalid": ["Cookie: SERVER=web-x; a=1; SERVER=web-b"],
    "twice-second-invalid": ["Cookie: SERVER=web-b; a=1; SERVER=web-x"],
    "twice-in-two-headers": ["Cookie: SERVER=web-b", "Cookie: SERVER=web-a"],
    "twice-in-two-headers-first-invalid": ["Cookie: SERVER=web-x; a=1", "Cookie: SERVER=web-b; b=2"],
    "quoted": ['Cookie: SERVER="web-b"'],
    "quoted-other-before": ['Cookie: a="x; SERVER=web-a; y"; SERVER=web-b'],
    "quoted-unfinished": ['Cookie: a="x; SERVER=web-b'],
    "spaces-around-equals": ["Cookie: a=1; SERVER = web-b; b=2"],
    "spaces-around": ["Cookie:    SERVER=web-b   "],
    "spaces-before-semicolon": ["Cookie: a=1 ; SERVER=web-b ; b=2"],
    "many-spaces-between": ["Cookie: a=1;   SERVER=web-b;   b=2"],
    "no-spaces": ["Cookie: a=1;SERVER=web-b;b=2"],
    "no-space-before": ["Cookie: a=1;SERVER=web-b; b=2"],
    "no-space-after": ["Cookie: a=1; SERVER=web-b;b=2"],
    "first-no-spaces": ["Cookie: SERVER=web-b;a=1"],
    "commas": ["Cookie: a=1, SERVER=web-b, b=2"],
    "tabs": ["Cookie: a=1;\tSERVER=web-b;\tb=2"],
    "empty-parts": ["Cookie: ; ;SERVER=web-b;; a=1;"],
    "trailing-semicolon": ["Cookie: SERVER=web-b;"],
    "trailing-semicolon-and-space": ["Cookie: a=1; SERVER=web-b; "],
    "leading-semicolon": ["Cookie: ;SERVER=web-b"],
    "name-lower-case": ["Cookie: server=web-b"],
    "value-upper-case": ["Cookie: SERVER=WEB-B"],
    "name-longer": ["Cookie: SERVERX=web-b; XSERVER=web-b"],
    "name-quoted": ['Cookie: "SERVER"=web-b'],
    "value-longer": ["Cookie: SERVER=web-bb"],
    "value-with-equals": ["Cookie: SERVER=web-b=1"],
    "value-with-bar": ["Cookie: SERVER=web-b|x"],
    "value-with-tilde": ["Cookie: SERVER=web-b~x"],
    "value-with-space": ["Cookie: SERVER=web-b x; a=1"],
    "versioned": ["Cookie: $Version=1; SERVER=web-b; $Path=/; a=1"],
    "header-empty": ["Cookie:"],
    "header-lower-case": ["cookie: SERVER=web-b"],
    "header-upper-case": ["COOKIE: a=1; SERVER=web-b"],
    "cookie2": ["Cookie2: SERVER=web-b"],
    "in-target-only": [],
    "long-value": ["Cookie: SERVER=" + "x" * 3000],
    "equals-first": ["Cookie: =web-b; SERVER=web-b"],
    "other-without-value-before": ["Cookie: a; SERVER=web-b"],
}.items():
    exchange(f"cookie-{name}", SEED, get("/?SERVER=web-b" if name == "in-target-only" else "/", *lines, "X-After: 1"))


@case("cookie-kept-over-connection", SEED, logs=4)
def cookie_kept_over_connection(world):
    client = world.client()
    client.request(get("/1"))
    client.request(get("/2", "Cookie: SERVER=web-a"))
    client.request(get("/3", "Cookie: SERVER=web-b"))
    client.request(get("/4"))
    client.end()


@case("cookie-uses-no-turn", SEED, logs=6)
def cookie_uses_no_turn(world):
    for number, lines in enumerate(
        [[], ["Cookie: SERVER=web-b"], ["Cookie: SERVER=web-b"], [], [], ["Cookie: SERVER=web-x"]]
    ):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}", *lines))
        client.close()


exchange("cookie-valid-head", SEED, get("/", "Cookie: SERVER=web-b", method="HEAD"), ok(body=b""), method="HEAD")
exchange("cookie-valid-http10", SEED, get("/", "Cookie: SERVER=web-b", version="HTTP/1.0"))
exchange("cookie-post", SEED, get("/", "Content-Length: 2", method="POST", body=b"ab"))

# What servers set themselves
for name, lines in {
    "same-name": ["Set-Cookie: SERVER=own; path=/x"],
    "same-name-lower-case": ["Set-Cookie: server=own"],
    "other-name": ["Set-Cookie: a=1; path=/"],
    "same-and-other": ["Set-Cookie: a=1", "Set-Cookie: SERVER=own; HttpOnly", "Set-Cookie: b=2"],
    "same-twice": ["Set-Cookie: SERVER=own", "X-Between: 1", "Set-Cookie: SERVER=again"],
    "in-list": ["Set-Cookie: a=1, SERVER=own; path=/, b=2"],
    "with-spaces": ["Set-Cookie:  SERVER = own ; path=/"],
    "without-value": ["Set-Cookie: SERVER"],
    "empty-value": ["Set-Cookie: SERVER=; Max-Age=0"],
    "quoted": ['Set-Cookie: SERVER="own"'],
    "set-cookie2": ["Set-Cookie2: SERVER=own"],
    "name-in-attribute": ["Set-Cookie: a=1; SERVER=own"],
    "own-value": ["Set-Cookie: SERVER=web-a"],
}.items():
    exchange(f"server-sets-{name}", SEED, get(), ok(*lines))
    exchange(f"server-sets-{name}-client-valid", SEED, get("/", "Cookie: SERVER=web-a"), ok(*lines))


# The other modes, each through the same exchanges
def in_mode(configuration):
    name = configuration.name
    own = ok("Set-Cookie: a=1", "Set-Cookie: SERVER=own; path=/x")
    cacheable = ok("Cache-Control: max-age=60")
    for title, request, answer in (
        ("no-cookie", get(), None),
        ("valid", get("/", "Cookie: a=1; SERVER=web-b"), None),
        ("invalid", get("/", "Cookie: SERVER=web-x; a=1"), None),
        ("server-sets", get(), own),
        ("valid-server-sets", get("/", "Cookie: SERVER=web-b"), own),
        ("prefixed", get("/", "Cookie: SERVER=web-b~own; a=1"), own),
        ("prefixed-invalid", get("/", "Cookie: SERVER=web-x~own"), None),
        ("prefixed-empty", get("/", "Cookie: SERVER=web-b~"), None),
        ("cacheable", get(), cacheable),
        ("server-sets-empty", get(), ok("Set-Cookie: SERVER=")),
        ("server-sets-quoted", get(), ok('Set-Cookie: SERVER="own"; path=/')),
        ("post", get("/", "Content-Length: 2", method="POST", body=b"ab"), None),
    ):
        exchange(f"{name}-{title}", configuration, request, answer)


for mode in COOKIE_MODES:
    in_mode(mode)


# Dates in the value
def in_dated_mode(configuration):
    name = configuration.name
    for title, value in (
        ("no-cookie", None),
        ("undated", "web-b"),
        ("bar-only", "web-b|"),
        ("fresh", dated("web-b", last=-1, first=-1)),
        ("fresh-last-only", dated("web-b", last=-1)),
        ("half-old", dated("web-b", last=-1800, first=-1800)),
        ("idle-too-long", dated("web-b", last=-7200, first=-7200)),
        ("life-too-long", dated("web-b", last=-60, first=-100_000)),
        ("future", dated("web-b", last=3600, first=3600)),
        ("far-future", dated("web-b", last=200_000, first=200_000)),
        ("rubbish", "web-b|!!!!!|!!!!!"),
        ("short", "web-b|abc"),
    ):

        def run(world, value=value):
            world.record.masks.append(hide_dates)
            client = world.client()
            client.request(get("/", f"Cookie: SERVER={value}") if value else get())
            client.end()

        case(f"{name}-{title}", configuration)(run)


for mode in DATED_COOKIE_MODES:
    in_dated_mode(mode)


@case("cookie-server-without-value", NO_COOKIE_VALUE, logs=3)
def cookie_server_without_value(world):
    for number, lines in enumerate([[], [], ["Cookie: SERVER=web-a"]]):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}", *lines))
        client.close()


@case("cookie-server-without-value-expires", NO_COOKIE_VALUE, logs=2)
def cookie_server_without_value_expires(world):
    for number, lines in enumerate([["Cookie: SERVER=web-x"], ["Cookie: SERVER=web-x"]]):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}", *lines))
        client.close()
