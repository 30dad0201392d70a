"""What counts as a finding: lb took bytes for another request than a proxy beside it did, or its server did not take them."""

from urllib.parse import urlsplit

BY_PROXY, BY_SERVER = "refused by the proxy", "refused by the server"


def described(request):
    """What must be the same behind every proxy. An absolute target and its path are one."""
    target = request["target"]
    if "://" in target and not target.startswith("/"):
        parts = urlsplit(target)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return request["method"], target, request["body"]


def steps(outcome):
    """What became of the bytes, in order: requests, what the server refused, and what the proxy refused itself."""
    requests = iter(outcome.requests)
    said = []
    for answer in outcome.answers:
        request = next(requests, None) if answer.by_server and answer.status == 200 else None
        if request:
            said.append(described(request))
        else:
            said.append((BY_SERVER if answer.by_server else BY_PROXY, answer.status))
    # A server may have been given more than was answered.
    return said + [("unanswered", *described(request)) for request in requests]


def findings(outcomes, is_framed):
    """One line for each proxy that lb disagrees with, and each header. Who refused all of a case agrees with anyone; where
    frames say what belongs to which request, so does who refuses the follower."""
    said = []
    ours = steps(outcomes["lb"])
    for name, outcome in outcomes.items():
        theirs = steps(outcome)
        if name == "lb" or not ours or not theirs or BY_PROXY in (ours[0][0], theirs[0][0]):
            continue
        for our, their in zip(ours, theirs, strict=False):
            if our != their:
                if is_finding(our, their) and not (is_framed and BY_PROXY in (our[0], their[0])):
                    said.append(f"lb has {our} where {name} has {their}")
                break
        else:
            if is_framed and len(ours) != len(theirs):
                said.append(f"lb has {len(ours)} requests where {name} has {len(theirs)}")
            said += headers_that_differ(name, outcomes["lb"].requests, outcome.requests)
    ended = [name for name, outcome in outcomes.items() if outcome.end != "open"]
    if is_framed and ended == ["lb"] and outcomes["lb"].end == "refused":
        # That would take others' requests with it, where the connection is a proxy's.
        said.append("lb alone ends the connection for what is one request's fault")
    return said


def headers_that_differ(name, ours, theirs):
    """One line for each header that a server was given in another way. Whether a connection stays is each hop's own."""
    said = []
    for our, their in zip(ours, theirs, strict=False):
        for header in sorted(our["headers"].keys() | their["headers"].keys()):
            one, other = our["headers"].get(header), their["headers"].get(header)
            # That a body comes in chunks is as good as saying its length.
            is_body = header == "HTTP_TRANSFER_ENCODING" and {str(one).lower(), str(other).lower()} == {"chunked", "none"}
            of_framing = is_body and our["body"] == their["body"] != ""
            if one != other and header != "HTTP_CONNECTION" and not of_framing:
                said.append(f"lb has {header} {one!r} where {name} has {other!r}")
    return said


def is_finding(our, their):
    """Two refusals are one. What the other's server refused, that proxy has passed on where lb did not."""
    refusals = (BY_PROXY, BY_SERVER)
    return not (our[0] in refusals and their[0] in refusals) and their[0] != BY_SERVER
