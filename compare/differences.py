"""The intended differences between lb and HAProxy, each with its reason. Anything that is not here fails.

A difference is a mask: applied to the facts of both proxies, it makes equal what is allowed to differ and
leaves the rest. Masks are as narrow as can be: they name their cases and their facts, and what a whole answer may be
instead. docs/haproxy-differences.md tells users of each, under its name.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Difference:
    """`mask` changes the facts (label to value) of one case in place."""

    name: str
    reason: str
    mask: Callable


def own_pages(_case, facts):
    for label in list(facts):
        if label.endswith(" headers"):
            answer = label.removesuffix(" headers")
            if is_own_page(facts[label]) and "web-" not in answer:
                facts[label] = own_head(facts[label])
                if f"{answer} body" in facts:
                    facts[f"{answer} body"] = "(a page of the proxy's own)"
        elif label.endswith((" bytes", " surplus")) and is_own_page(facts[label]):
            line, _, headers = facts[label].partition("\r\n\r\n")[0].partition("\r\n")
            facts[label] = f"{line}\r\n{own_head(headers)}"


def is_own_page(head):
    return "cache-control: no-cache" in head.lower() and "content-type: text/html" in head.lower()


def own_head(headers):
    """Length taken out. What HAProxy's parser answers itself has names in capitals and an order of its own."""
    headers = re.sub(r"(?i)(content-length: )\d+", r"\1*", headers)
    return "\r\n".join(sorted(headers.lower().split("\r\n")))


def on(cases, *masks):
    """The masks, but only in cases whose names match."""

    def mask(case, facts):
        if re.fullmatch(cases, case):
            for one in masks:
                one(case, facts)

    return mask


def all_of(*masks):
    def mask(case, facts):
        for one in masks:
            one(case, facts)

    return mask


def whole(_case, facts):
    facts.clear()


def without(labels):
    """Facts of these labels are not compared."""

    def mask(_case, facts):
        for label in [label for label in facts if re.fullmatch(labels, label)]:
            del facts[label]

    return mask


def only(labels):
    """Nothing but facts of these labels is compared."""

    def mask(_case, facts):
        for label in [label for label in facts if not re.fullmatch(labels, label)]:
            del facts[label]

    return mask


def answered(*statuses):
    """The first answer may be any of these, with all that follows from it; logged with the same status."""

    def mask(_case, facts):
        status = facts.get("client response 1 line", " ").split(" ")[1]
        if status in statuses and facts.get("log 1 status", "").lstrip("0") == status.lstrip("0"):
            facts.clear()

    return mask


def without_headers(names, labels=".* headers"):
    def mask(_case, facts):
        for label in [label for label in facts if re.fullmatch(labels, label)]:
            lines = facts[label].split("\r\n")
            facts[label] = "\r\n".join(line for line in lines if not re.match(rf"(?i)(?:{names}):", line))

    return mask


def replaced(labels, pattern, by):
    def mask(_case, facts):
        for label in [label for label in facts if re.fullmatch(labels, label)]:
            facts[label] = re.sub(pattern, by, facts[label])

    return mask


ANY_SERVER = all_of(
    without(r"web-\w request \d+ .*"),
    replaced(r"client \d+ response \d+ (headers|body)( #\d+)?|log \d+ server", r"web-\w", "web-*"),
)

INTENDED = [
    Difference(
        "own pages",
        "the pages that a proxy makes itself (400, 408, 502, 503, 504) are worded by each on its own, so bodies and "
        "with them content-length differ; and where HAProxy's parser answers, it writes header names in capitals and "
        "in another order, where lb has one form for all pages",
        own_pages,
    ),
    Difference(
        "bytes",
        "the log says how many bytes were sent to the client; HAProxy counts those of its own form of a message, "
        "before its edits, which are never on any wire",
        without(r"log \d+ bytes"),
    ),
    Difference(
        "http/2",
        "both take a client that begins with HTTP/2's preface as one that speaks it; their settings differ, and how they end; "
        "lb waits for the rest of a preface that has not come whole, HAProxy 2.6 takes what is there for a bad request",
        on("malformed-preface(-part)?", whole),
    ),
    Difference(
        "strict requests",
        "what two programs could read in two ways is refused (RFC 9112), where HAProxy mends it or passes it on: bare "
        "line feeds, folded lines, control characters, blanks beyond the grammar in request lines and chunk sizes, "
        "versions other than 1.0 and 1.1, more than one Host, a Content-Length that is repeated, Transfer-Encoding "
        "beside Content-Length or in HTTP/1.0 or other than just `chunked`, a URL without an authority",
        on(
            r"malformed-(bare-lf|bare-lf-in-one-header|folded|folded-tab|spaces-in-request-line|tab-in-request-line"
            r"|del-in-target|nul-in-value|control-in-value|version-(0\.9|1\.2|1\.9|2\.0|3\.0)|target-scheme-only"
            r"|length-twice-same|length-list-same|chunked-and-length|length-and-chunked|chunked-and-length-http10"
            r"|chunked-http10|coding-chunked-comma|chunk-size-spaces|chunk-bare-lf)|host-twice-same",
            answered("400", "200"),
        ),
    ),
    Difference(
        "asterisk",
        "`*` is a target of OPTIONS alone (RFC 9112, section 3.2.4), by HTTP/2 too (RFC 9113, section 8.3.1)",
        on("malformed-star-get", answered("400", "200")),
    ),
    Difference(
        "header names",
        "names with anything but letters, digits and hyphens do not reach servers: to CGI and WSGI they are others",
        on("header-odd-names", without_headers(r"[a-z0-9-]*[^a-z0-9:-][^:]*", "web-a request 1 headers")),
    ),
    Difference(
        "one host",
        "a request of HTTP/1.1 names a host, and one only: none, an empty one, a list, one with a user, a path or a blank in it "
        "would be another host to the next reader (RFC 9112, section 3.2); HAProxy passes them on",
        on(r"absolute-form-without-host|host-(missing|empty)|malformed-(host-with-space|host-with-slash|host-list|target-user)", answered("400", "200")),
    ),
    Difference(
        "unknown codings",
        "a request with a transfer coding before chunked is refused with 400 as all other framing that is not passed "
        "on, where HAProxy says 422",
        on("malformed-coding-gzip-chunked", answered("400", "422")),
    ),
    Difference(
        "strict answers",
        "the same from servers: an answer with a status of other than three digits from 100 on, another version, "
        "blanks beyond the grammar, folded lines or control characters is no answer but a 502",
        on(
            r"answers-(status-(two-digits|four-digits|000|099)|version-(2|0\.9)|two-spaces|header-(folded|nul|control))"
            r"|answer-http12",
            answered("502", "200", "20", "2000", "000", "099"),
        ),
    ),
    Difference(
        "size of a head",
        "a head may have as many bytes as the buffer less the reserve, counted as they come; HAProxy counts its own "
        "form of them, which reaches the limit some bytes sooner",
        on("malformed-head-just-too-large", answered("400", "200")),
    ),
    Difference(
        "size of an answer's head",
        "the same from servers",
        on("answers-head-just-too-large", answered("502", "200")),
    ),
    Difference(
        "hop by hop",
        "headers that concern one connection end there (RFC 9110, section 7.6.1): what Connection names, keep-alive, "
        "proxy-connection, and upgrade where none is asked for; te goes on with the `connection: TE` that belongs to "
        "it",
        on(
            r"connection-(names-header|close-and-name|keep-alive-and-name|twice)|keep-alive-header|proxy-connection"
            r"|te-trailers-alone|upgrade-without-connection|answer-connection-keep-alive",
            without_headers("connection|foo|keep-alive|proxy-connection|upgrade"),
        ),
    ),
    Difference(
        "h2c",
        "an upgrade to HTTP/2 in clear text is not passed on: the requests behind it would pass unseen",
        on("upgrade-h2c", without_headers("connection|upgrade|http2-settings", r"web-\w request 1 headers")),
    ),
    Difference(
        "websocket keys",
        "whether a request to upgrade, and what it is answered, are a sound WebSocket handshake is the business of "
        "client and server; HAProxy refuses those without a key, and in HTTP/1.0, where lb takes no notice of Upgrade",
        all_of(
            on("upgrade-and-name|upgrade-ignored-by-origin|upgrade-with-http10", answered("400", "200")),
            on("upgrade-accept-missing", answered("502", "101")),
        ),
    ),
    Difference(
        "targets as sent",
        "request target and Host go to the server as the client sent them; HAProxy takes the port from CONNECT's "
        "Host, and a default port from an absolute URL",
        all_of(
            on("connect|connect-refused-by-origin|connect-tunnel", replaced("web-a request 1 headers", ":443", "")),
            on("absolute-form-default-port", replaced("web-a request 1 line|log 1 request", "test:80/", "test/")),
        ),
    ),
    Difference(
        "http/1.0 clients",
        "a client of HTTP/1.0 knows no chunks and no 1xx: it gets the body plain, up to the connection's end, and the "
        "final answer alone",
        all_of(
            on(
                "http10-client-chunked-answer|http10-keep-alive-chunked-answer",
                without_headers("transfer-encoding|connection", "client response 1 headers"),
                without("client end"),
            ),
            on("closes-in-body-to-http10", without("client response 1 (headers|body|cut .*)")),
            on("informational-to-http10", without(r"client response \d .*")),
        ),
    ),
    Difference(
        "what breaks off",
        "an answer that ends with its connection, or a tunnel, ends with a reset for the client where it breaks off, so "
        "that it does not look whole; HAProxy 2.6 ends it in order",
        on("resets-in-body-unframed|closes-in-body-to-http10|upgrade-websocket-idle", without("client end")),
    ),
    Difference(
        "reused connections",
        "a connection to a server that has been used before may serve a client's first request as well, and where it "
        "turns out closed before one byte of an answer, the request is sent again on a new one; HAProxy keeps such "
        "connections for later requests and, where one breaks, closes the client's without a word or a log line",
        all_of(
            on("closes-before-headers(-post)?|resets-before-headers", answered("200", "502")),
            on(r"reused-connection-(closes|resets)-under-.*", only(r"(client response|web-a request|log) 1 .*")),
        ),
    ),
    Difference(
        "slow heads",
        "without a timeout http-request, timeout client bounds the whole of a request's head, so that nobody can hold "
        "a connection by sending a byte now and then; with HAProxy each byte renews it",
        on("client-drips-headers", without("log 1 Ta")),
    ),
    Difference(
        "passive cookie",
        "the log says what became of a cookie that is only read as of any other; HAProxy leaves both characters out",
        on("cookie-passive-(?!indirect|preserve).*", replaced("log 1 state", r"^--..$", "--**")),
    ),
    Difference(
        "turns when servers change",
        "round robin is a schedule by the request's number, the same on all workers and balancers, so that after a "
        "server left or came back another's turn may be first; each still gets its share",
        on("server-comes-back|fall-3-rise-2|order-when-a-server-leaves-and-returns", ANY_SERVER),
    ),
    Difference(
        "ties of leastconn",
        "among servers of equal load the request's number decides, with HAProxy who was left alone for longest",
        on(
            "leastconn-(held|after-persistent|weighted-held)",
            ANY_SERVER,
            # How long each is held by the case, and beside how many, depends on which server it is at.
            without(r"log \d+ (server_conns|Tr|Ta)"),
        ),
    ),
    Difference(
        "bodies of checks",
        "a health check reads an answer's head; HAProxy looks at what of the body came with it, and fails a bad chunk",
        on("check-answer-chunked-bad", ANY_SERVER, without("notice on web-a.*")),
    ),
]
