"""`nocache`: which responses that get the cookie are marked private, and which need not be."""

from configurations import SEED
from twin.suite import exchange, get, ok

FRESH = "Cache-Control: max-age=60"

# By status and by method, with a freshness that makes a response cacheable
for status in (
    200,
    201,
    202,
    203,
    204,
    205,
    206,
    207,
    300,
    301,
    302,
    303,
    304,
    307,
    308,
    400,
    401,
    403,
    404,
    405,
    406,
    410,
    411,
    414,
    416,
    418,
    421,
    500,
    501,
    502,
    503,
):
    bodiless = status in (204, 304)
    exchange(
        f"cacheable-status-{status}",
        SEED,
        get(),
        ok(FRESH, status=f"{status} Some", body=b"" if bodiless else b"ok\n", length=not bodiless),
    )
for method in ("HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH", "FROBNICATE", "get"):
    exchange(f"cacheable-method-{method}", SEED, get(method=method), ok(FRESH, body=b""), method=method)

# By what the response says
for name, lines in {
    "nothing": [],
    "etag": ['ETag: "x"'],
    "etag-weak": ['ETag: W/"x"'],
    "last-modified": ["Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT"],
    "expires": ["Expires: Thu, 01 Jan 2032 00:00:00 GMT"],
    "expires-past": ["Expires: Thu, 01 Jan 1970 00:00:00 GMT"],
    "expires-0": ["Expires: 0"],
    "max-age": ["Cache-Control: max-age=60"],
    "max-age-0": ["Cache-Control: max-age=0"],
    "max-age-0-etag": ["Cache-Control: max-age=0", 'ETag: "x"'],
    "max-age-00": ["Cache-Control: max-age=00"],
    "max-age-quoted": ['Cache-Control: max-age="60"'],
    "max-age-letters": ["Cache-Control: max-age=abc"],
    "s-maxage": ["Cache-Control: s-maxage=60"],
    "s-maxage-0": ["Cache-Control: s-maxage=0"],
    "s-maxage-0-max-age": ["Cache-Control: s-maxage=0, max-age=60"],
    "max-age-0-s-maxage": ["Cache-Control: max-age=0, s-maxage=60"],
    "s-maxage-max-age-0": ["Cache-Control: s-maxage=60, max-age=0"],
    "private": ["Cache-Control: private"],
    "private-etag": ["Cache-Control: private", 'ETag: "x"'],
    "private-field": ['Cache-Control: private="set-cookie", max-age=60'],
    "private-max-age": ["Cache-Control: private, max-age=60"],
    "no-cache": ["Cache-Control: no-cache", 'ETag: "x"'],
    "no-cache-max-age": ["Cache-Control: no-cache, max-age=60"],
    "no-cache-set-cookie": ['Cache-Control: no-cache="set-cookie"', 'ETag: "x"'],
    "no-cache-set-cookie-max-age": ['Cache-Control: no-cache="set-cookie", max-age=60'],
    "no-cache-other-field": ['Cache-Control: no-cache="x-a", max-age=60'],
    "no-store": ["Cache-Control: no-store", 'ETag: "x"'],
    "no-store-max-age": ["Cache-Control: max-age=60, no-store"],
    "public": ["Cache-Control: public"],
    "public-etag": ["Cache-Control: public", 'ETag: "x"'],
    "public-max-age-0": ["Cache-Control: public, max-age=0", 'ETag: "x"'],
    "max-age-0-public": ["Cache-Control: max-age=0, public", 'ETag: "x"'],
    "no-cache-public": ["Cache-Control: no-cache, public", 'ETag: "x"'],
    "public-no-cache": ["Cache-Control: public, no-cache", 'ETag: "x"'],
    "private-public": ["Cache-Control: private, public", 'ETag: "x"'],
    "must-revalidate": ["Cache-Control: must-revalidate", 'ETag: "x"'],
    "two-headers": ["Cache-Control: max-age=60", "Cache-Control: private"],
    "two-headers-reversed": ["Cache-Control: private", "Cache-Control: max-age=60"],
    "upper-case": ["CACHE-CONTROL: PRIVATE", 'ETag: "x"'],
    "upper-case-max-age": ["Cache-Control: Max-Age=60"],
    "empty": ["Cache-Control:", 'ETag: "x"'],
    "spaces": ["Cache-Control:   max-age=60 ,  public  "],
    "pragma-no-cache": ["Pragma: no-cache", 'ETag: "x"'],
    "pragma-no-cache-max-age": ["Pragma: no-cache", "Cache-Control: max-age=60"],
    "max-age-pragma-no-cache": ["Cache-Control: max-age=60", "Pragma: no-cache"],
    "pragma-other": ["Pragma: x", 'ETag: "x"'],
    "pragma-public": ["Pragma: no-cache", "Cache-Control: public, max-age=60"],
    "vary": ["Vary: *", 'ETag: "x"'],
    "age": ["Age: 100", 'ETag: "x"'],
    "set-cookie-of-own": ["Set-Cookie: a=1", 'ETag: "x"'],
    "set-cookie-same-name": ["Set-Cookie: SERVER=own", 'ETag: "x"'],
}.items():
    exchange(f"caching-{name}", SEED, get(), ok(*lines))

exchange("caching-client-valid", SEED, get("/", "Cookie: SERVER=web-a"), ok(FRESH))
exchange(
    "caching-client-valid-server-sets", SEED, get("/", "Cookie: SERVER=web-a"), ok(FRESH, "Set-Cookie: SERVER=own")
)
exchange("caching-client-invalid", SEED, get("/", "Cookie: SERVER=web-x"), ok(FRESH))
exchange("caching-request-no-cache", SEED, get("/", "Cache-Control: no-cache", "Pragma: no-cache"), ok(FRESH))
exchange("caching-request-no-store", SEED, get("/", "Cache-Control: no-store"), ok(FRESH))
exchange("caching-request-authorization", SEED, get("/", "Authorization: Basic eDp5"), ok(FRESH))
exchange("caching-http10", SEED, get(version="HTTP/1.0"), ok(FRESH))
exchange("caching-answer-http10", SEED, get(), ok(FRESH, version="HTTP/1.0"))
