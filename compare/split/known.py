"""Cases that are split differently and are no fault of lb's, each with its reason."""

import re


def reason(case, finding):
    """Why this case may be split differently, in the way that was found; None where it may not."""
    data = getattr(case, "block", case.data)
    for pattern, of, why in KNOWN:
        if re.search(pattern, data, re.DOTALL) and re.search(of, finding):
            return why
    return None


# In a case's bytes, a header of HTTP/1 or HTTP/2 begins so.
LINE = rb"(?i)(?:^|[\r\n]|\x00[\x00-\x7f])"
KNOWN = [
    (LINE + rb"Expect(: |.)x", "refused by the server', 417.* nginx has", "an unknown expectation is the server's to refuse; nginx drops it"),
    (LINE + rb"Expect", "EXPECT '100-continue' where nginx has None", "nginx asks for the body itself"),
    (
        LINE + rb"[a-z]+[_.][a-z_]+", "HTTP_([A-Z._]+ None|TRANSFER_ENCODING 'chunked') where haproxy has",
        "names that CGI takes for others do not go on",
    ),
    (LINE + rb"TE(: |.)trailers", "HTTP_TE 'trailers' where nginx has None", "nginx passes no TE on"),
    (rb"HTTP/1\.0\r\n.*TE: trailers", "HTTP_TE None where haproxy has", "a client of HTTP/1.0 takes no trailers"),
    (LINE + rb"(Keep-Alive|Proxy-Connection)", "HTTP_(KEEP_ALIVE|PROXY_CONNECTION) None where", "they end at each hop"),
    (LINE + rb"Upgrade", "HTTP_UPGRADE None where haproxy has", "no protocol is asked for where Connection does not say so"),
    (LINE + rb"HTTP2-Settings", "HTTP_HTTP2_SETTINGS None where", "no server is asked for HTTP/2 in clear text"),
    (rb":authority.[^\x00]*:(80|443)?\x00", "HTTP_HOST '(.*):(80|443)?' where haproxy has '\\1'", "HAProxy takes a default port away"),
    (
        rb":protocol.websocket", "HTTP_SEC_WEBSOCKET_KEY '[A-Za-z0-9+/]{22}==' where haproxy has '[A-Za-z0-9+/]{22}=='",
        "each makes a key of its own for a WebSocket that comes by HTTP/2",
    ),
    (rb":scheme.(?!https?\x00)", "/?', '.*'\\) where haproxy has", "HAProxy takes an empty query away where the scheme is another"),
]
