"""The intended differences between lb and HAProxy, each with its reason. Anything that is not here fails.

A difference is a mask: applied to the facts of both proxies, it makes equal what is allowed to differ and
leaves the rest. Masks are as narrow as can be: they name their cases and their facts. Where the two may do different
things, a mask is given both facts, HAProxy's and lb's, and excuses what each is said to do and not the reverse; and
what lb refuses no server may have seen. docs/haproxy-differences.md tells users of each, under its name.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass


def nothing(*_):
    pass


@dataclass
class Difference:
    """Changes the facts (label to value) of one case in place: `mask` those of one proxy, `pair` HAProxy's and lb's."""

    name: str
    reason: str
    mask: Callable = nothing
    pair: Callable = nothing


OWN_STATUSES = "400|403|408|413|502|503|504"


def own_pages(_case, facts):
    for label in list(facts):
        if label.endswith(" headers"):
            answer = label.removesuffix(" headers")
            line, body = facts.get(f"{answer} line", ""), facts.get(f"{answer} body", "")
            if "web-" not in answer and is_own_page(line, facts[label], body):
                facts[label] = own_head(facts[label])
                if body:
                    facts[f"{answer} body"] = "(a page of the proxy's own)"
        elif label.endswith((" bytes", " surplus")):
            head, _, body = facts[label].partition("\r\n\r\n")
            line, _, headers = head.partition("\r\n")
            if is_own_page(line, headers, body):
                facts[label] = f"{line}\r\n{own_head(headers)}"


def is_own_page(line, headers, body):
    """Also as the answer to HEAD. Its length is the body's."""
    length = re.search(r"(?i)content-length: (\d+)", headers)
    return (
        re.match(rf"HTTP/1\.1 ({OWN_STATUSES}) ", line)
        and "cache-control: no-cache" in headers.lower()
        and "content-type: text/html" in headers.lower()
        and (not body or (body.startswith("<html>") and length and int(length[1]) == len(body)))
    )


def own_head(headers):
    """Length taken out. What HAProxy's parser answers itself has names in capitals and an order of its own."""
    headers = re.sub(r"(?i)(content-length: )\d+", r"\1*", headers)
    return "\r\n".join(sorted(headers.lower().split("\r\n")))


def on(cases, *masks):
    """The masks, of one proxy or of both, but only in cases whose names match."""

    def mask(case, *facts):
        if re.fullmatch(cases, case):
            for one in masks:
                one(case, *facts)

    return mask


def all_of(*masks):
    def mask(case, *facts):
        for one in masks:
            one(case, *facts)

    return mask


def without(labels):
    """Facts of these labels are not compared."""

    def mask(_case, facts):
        for label in [label for label in facts if re.fullmatch(labels, label)]:
            del facts[label]

    return mask


def status(facts):
    """That of the first answer, where it is logged as well; as text, which may be no number."""
    line = facts.get("client response 1 line", " ").split(" ")[1]
    return line if facts.get("log 1 status", "").lstrip("0") == line.lstrip("0") else None


def answers(lb, *haproxy):
    """lb's first answer is `lb` where HAProxy's is one of the others, with all that follows from it."""

    def pair(_case, left, right):
        if status(right) == lb and status(left) in haproxy:
            left.clear()
            right.clear()

    return pair


def refuses(lb, *haproxy):
    """As `answers`, and what lb refuses no server has seen."""

    def pair(case, left, right):
        if not any(re.match(r"web-\w request", label) for label in right):
            answers(lb, *haproxy)(case, left, right)

    return pair


def ends_here(names, labels):
    """Header lines that HAProxy passes on and lb does not; where lb does, all must be as with HAProxy."""

    def pair(_case, left, right):
        for label in [label for label in left if re.fullmatch(labels, label)]:
            if not lines_of(names, right.get(label, "")):
                for line in lines_of(names, left[label]):
                    left[label] = without_line(left[label], line)
            if not left[label] and label not in right:
                del left[label]

    return pair


def lines_of(names, headers):
    return [line for line in headers.split("\r\n") if re.match(rf"(?i)(?:{names}):", line)]


def without_line(headers, line):
    return "\r\n".join(other for other in headers.split("\r\n") if other != line)


def says(labels, haproxy, lb):
    """What a pattern finds in HAProxy's fact is something else with lb: that very thing."""

    def pair(_case, left, right):
        for label in left:
            if re.fullmatch(labels, label) and label in right and left[label] != right[label]:
                changed = re.sub(haproxy, lb, left[label])
                if changed == right[label]:
                    left[label] = changed

    return pair


def replaced(labels, pattern, by):
    def mask(_case, facts):
        for label in [label for label in facts if re.fullmatch(labels, label)]:
            facts[label] = re.sub(pattern, by, facts[label])

    return mask


# What no trailer may say, as far as cases have it.
OF_HEADS = "host|content-length|connection|te|keep-alive|authorization|set-cookie"


def goes_on_where_haproxy_closes(case, left, right):
    """HAProxy says nothing to the second request; lb answers it. No server may have had a POST twice."""
    twice = any(label.startswith("web-a request 3 ") for label in right)
    if "client response 2 missing" in left and not (twice and case.endswith("-post")):
        for facts in (left, right):
            second = r"(client response|log) 2 .*|web-a request 3 .*|client end|lines logged"
            for label in [label for label in facts if re.fullmatch(second, label)]:
                del facts[label]


def resets_where_cut(_case, left, right):
    """With lb a reset where with HAProxy is the end, behind the same bytes."""
    cut = "client response 1 cut (reset) body"
    for ended in ("client response 1 body", "client response 1 cut (fin) body"):
        if cut in right and cut not in left and left.get(ended) == right[cut]:
            left[cut] = left.pop(ended)
    if (left.get("client end"), right.get("client end")) == ("fin", "reset"):
        left["client end"] = "reset"


def without_interim(_case, left, right):
    """HAProxy's second answer is lb's first; HAProxy's first is a 1xx."""
    interim = [facts.get("client response 1 line", "").startswith("HTTP/1.1 1") for facts in (left, right)]
    if interim == [True, False]:
        for label in [label for label in left if label.startswith("client response 1 ")]:
            del left[label]
        for label in [label for label in left if label.startswith("client response 2 ")]:
            left[label.replace(" 2 ", " 1 ", 1)] = left.pop(label)


def bytes_of_own_forms(_case, left, right):
    """Some bytes are some bytes; and none with HAProxy where it answers what is no request."""
    for label in left:
        if re.fullmatch(r"log \d+ bytes", label) and label in right:
            bad = right.get(label.replace("bytes", "request")) == "<BADREQ>"
            if right[label] != "0" and (left[label] != "0" or bad):
                left[label] = right[label]


def without_bytes_of_one_that_left(_case, left, right):
    if left.get("log 3 bytes") != "0" and right.get("log 3 bytes") == "0":
        left["log 3 bytes"] = "0"


def from_any_server(_case, facts):
    """What servers were sent is compared as a whole: by which of them is not."""
    requests = {}
    for label in [label for label in facts if re.match(r"web-\w request \d+ ", label)]:
        server, _, number, part = label.split(" ", 3)
        requests.setdefault((server, number), []).append(f"{part}: {facts.pop(label)}")
    facts["requests to servers"] = "\n\n".join(sorted("\n".join(sorted(parts)) for parts in requests.values()))


ANY_SERVER = all_of(
    from_any_server,
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
        "before its edits, which are never on any wire, none where its parser answers, and all of an answer that nobody "
        "took any more",
        pair=all_of(bytes_of_own_forms, on("queue-client-leaves", without_bytes_of_one_that_left)),
    ),
    Difference(
        "http/2",
        "both take a client that begins with HTTP/2's preface as one that speaks it; their settings differ, and how they end; "
        "lb waits for the rest of a preface that has not come whole, HAProxy 2.6 takes what is there for a bad request",
        all_of(
            on("malformed-preface", without("client (response 1 missing|surplus)")),
            on("malformed-preface-part", without("log 1 Ta")),
        ),
        # The one has waited until the timeout for the head of a request.
        on(
            "malformed-preface-part",
            says("client response 1 line", "400 Bad request", "408 Request Time-out"),
            says("log 1 status", "400", "408"),
            says("log 1 state", "PR--", "cR--"),
        ),
    ),
    Difference(
        "strict requests",
        "what two programs could read in two ways is refused (RFC 9112), where HAProxy mends it or passes it on: bare "
        "line feeds, folded lines, control characters, blanks beyond the grammar in request lines and chunk sizes, "
        "versions other than 1.0 and 1.1, more than one Host, a Content-Length that is repeated, Transfer-Encoding "
        "beside Content-Length or in HTTP/1.0 or other than just `chunked`, a URL without an authority",
        pair=on(
            r"malformed-(bare-lf|bare-lf-in-one-header|folded|folded-tab|spaces-in-request-line|tab-in-request-line"
            r"|del-in-target|nul-in-value|control-in-value|version-(0\.9|1\.2|1\.9|2\.0|3\.0)|target-scheme-only"
            r"|length-twice-same|length-list-same|chunked-and-length|length-and-chunked|chunked-and-length-http10"
            r"|chunked-http10|coding-chunked-comma|chunk-size-spaces|chunk-bare-lf)|host-twice-same",
            refuses("400", "200"),
        ),
    ),
    Difference(
        "asterisk",
        "`*` is a target of OPTIONS alone (RFC 9112, section 3.2.4), by HTTP/2 too (RFC 9113, section 8.3.1)",
        pair=on("malformed-star-get", refuses("400", "200")),
    ),
    Difference(
        "header names",
        "names with anything but letters, digits and hyphens do not reach servers: to CGI and WSGI they are others",
        pair=on("header-odd-names", ends_here(r"[a-z0-9-]*[^a-z0-9:-][^:]*", "web-a request 1 headers")),
    ),
    Difference(
        "one host",
        "a request of HTTP/1.1 names a host, and one only: none, an empty one, a list, one with a user, a path or a blank in it "
        "would be another host to the next reader (RFC 9112, section 3.2); HAProxy passes them on",
        pair=on(
            r"absolute-form-without-host|host-(missing|empty)"
            r"|malformed-(host-(with-(space|slash|user)|list|two-ports|open-bracket)|target-user)",
            refuses("400", "200"),
        ),
    ),
    Difference(
        "unknown codings",
        "a request with a transfer coding before chunked is refused with 400 as all other framing that is not passed "
        "on, where HAProxy says 422",
        pair=on("malformed-coding-gzip-chunked", refuses("400", "422")),
    ),
    Difference(
        "strict answers",
        "the same from servers: an answer with a status of other than three digits from 100 on, another version, "
        "blanks beyond the grammar, folded lines or control characters, or whose status line ends at its digits with a bare "
        "line feed, is no answer but a 502",
        pair=on(
            r"answers-(status-(two-digits|four-digits|000|099|bare-lf)|version-(2|0\.9)|two-spaces|header-(folded|nul|control))"
            r"|answer-http12",
            answers("502", "200", "20", "2000", "000", "099"),
        ),
    ),
    Difference(
        "size of a head",
        "a head may have as many bytes as the buffer less the reserve, counted as they come; HAProxy counts its own "
        "form of them, which reaches the limit some bytes sooner",
        pair=on("malformed-head-just-too-large", answers("200", "400")),
    ),
    Difference(
        "size of an answer's head",
        "the same from servers",
        pair=on("answers-head-just-too-large", answers("200", "502")),
    ),
    Difference(
        "hop by hop",
        "headers that concern one connection end there (RFC 9110, section 7.6.1): what Connection names, keep-alive, "
        "proxy-connection, and upgrade where none is asked for; te goes on with the `connection: TE` that belongs to "
        "it",
        pair=all_of(
            on(
                "connection-(names-header|close-and-name|keep-alive-and-name|twice)",
                ends_here("connection|foo", r"web-a request 1 headers"),
            ),
            on("connection-names-header", ends_here("connection|foo", "client response 1 headers")),
            on("keep-alive-header", ends_here("keep-alive", ".* 1 headers")),
            on("answer-connection-keep-alive", ends_here("keep-alive", "client response 1 headers")),
            on("proxy-connection", ends_here("proxy-connection", ".* 1 headers")),
            on("upgrade-without-connection", ends_here("upgrade", "web-a request 1 headers")),
            on("te-trailers-alone", says("web-a request 1 headers", "te: trailers", "te: trailers\r\nconnection: TE")),
            on(
                "upgrade-and-name",
                ends_here("foo", "web-a request 1 headers"),
                says("web-a request 1 headers", "connection: upgrade, foo", "connection: upgrade"),
            ),
            # HAProxy makes a Sec-WebSocket-Accept for any answer that has an Upgrade line.
            on(
                "upgrade-ignored-by-origin",
                ends_here("connection|upgrade|sec-websocket-accept", "client response 1 headers"),
            ),
        ),
    ),
    Difference(
        "trailers",
        "nothing comes behind a body that says where a message ends, where it goes or who sent it (RFC 9110, section "
        "6.5.1); HAProxy passes all trailers on",
        pair=all_of(
            on("malformed-trailer-forbidden", ends_here("content-length|host", "web-a request 1 trailers")),
            on("request-trailers-of-heads", ends_here(OF_HEADS + "|x_under", "web-a request 1 trailers")),
            on("answer-trailers-of-heads", ends_here(OF_HEADS, "client response 1 trailers")),
        ),
    ),
    Difference(
        "h2c",
        "an upgrade to HTTP/2 in clear text is not passed on, by whatever spelling and beside whatever else: the requests "
        "behind it would pass unseen",
        pair=all_of(
            on("upgrade-h2c", ends_here("connection|upgrade|http2-settings", "web-a request 1 headers")),
            on(
                "upgrade-h2c-and-websocket",
                says("web-a request 1 headers", "upgrade: h2c\r\nupgrade: websocket", "upgrade: websocket"),
            ),
            on("upgrade-h2c-in-list", says("web-a request 1 headers", "h2c/1, websocket, H2C", "websocket")),
        ),
    ),
    Difference(
        "websocket keys",
        "whether a request to upgrade, and what it is answered, are a sound WebSocket handshake is the business of "
        "client and server; HAProxy refuses those without a key, and in HTTP/1.0, where lb takes no notice of Upgrade",
        pair=all_of(
            on("upgrade-without-key|upgrade-with-http10", answers("200", "400")),
            on("upgrade-accept-missing", answers("101", "502")),
        ),
    ),
    Difference(
        "targets as sent",
        "request target and Host go to the server as the client sent them; HAProxy takes the port from CONNECT's "
        "Host, and a default port from an absolute URL",
        pair=all_of(
            on(
                "connect|connect-refused-by-origin|connect-tunnel",
                says("web-a request 1 headers", r"host: example\.test", "host: example.test:443"),
            ),
            on("absolute-form-default-port", says("web-a request 1 line|log 1 request", "test/", "test:80/")),
            on("malformed-host-port-of-https", says("web-a request 1 line|log 1 request", "test/", "test:443/")),
        ),
    ),
    Difference(
        "http/1.0 clients",
        "a client of HTTP/1.0 knows no chunks and no 1xx: it gets the body plain, up to the connection's end, and the "
        "final answer alone",
        pair=all_of(
            on(
                "http10-client-chunked-answer|http10-keep-alive-chunked-answer|closes-in-body-to-http10",
                ends_here("transfer-encoding", "client response 1 headers"),
            ),
            on(
                "http10-keep-alive-chunked-answer",
                says("client response 1 headers", "connection: keep-alive", "connection: close"),
                says("client end", "open", "fin"),
            ),
            on("informational-to-http10", without_interim),
        ),
    ),
    Difference(
        "what breaks off",
        "an answer that ends with its connection, or a tunnel, ends with a reset for the client where it breaks off, so "
        "that it does not look whole; HAProxy 2.6 ends it in order",
        pair=on(
            "(resets|server-silent)-in-body-unframed|closes-in-body-to-http10|upgrade-websocket-idle",
            resets_where_cut,
        ),
    ),
    Difference(
        "stalled uploads",
        "a client that stalls within its request's body is told so when timeout client has passed, and it does not count "
        "against the server; HAProxy waits for timeout server, and blames the server",
        on("client-silent-in-(chunked-)?body(-server-waits-longer)?", without("log 1 Ta")),
        pair=on(
            "client-silent-in-(chunked-)?body(-server-waits-longer)?",
            says("client response 1 line", "504 Gateway Time-out", "408 Request Time-out"),
            says("log 1 status", "504", "408"),
            says("log 1 state", "sHNN", "cDNN"),
        ),
    ),
    Difference(
        "idle tunnels",
        "a tunnel in which nothing moves for its timeout is nobody's fault, and no server's in the log",
        pair=on("upgrade-websocket-idle", says("log 1 state", "sDNI", "cDNI")),
    ),
    Difference(
        "reused connections",
        "a connection to a server that has been used before may serve a client's first request as well where that may "
        "come twice, and where it turns out closed before one byte of an answer, that is sent again on a new one; any "
        "other request is a 502 then; HAProxy keeps such connections for later requests and, where one breaks, closes "
        "the client's without a word or a log line",
        pair=all_of(
            on("reused-connection-(closes|resets)-under-.*", goes_on_where_haproxy_closes),
            on("(closes|resets)-before-headers", answers("200", "502")),
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
        on("cookie-passive-(?!indirect|preserve).*", replaced("log 1 state", r"^--([NIDVEOU][NIUPRD]|--)$", "--**")),
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
        "interim answers to checks",
        "a health check waits for the answer behind a 1xx, as clients do; HAProxy takes the 1xx for the answer, which fails",
        on("check-answer-100-then-200", ANY_SERVER, without("notice on web-a.*")),
    ),
]
