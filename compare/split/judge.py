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


def findings(outcomes):
    """One line for each proxy that lb disagrees with. Who refused all of a case agrees with anyone."""
    said = []
    ours = steps(outcomes["lb"])
    for name, outcome in outcomes.items():
        theirs = steps(outcome)
        if name == "lb" or not ours or not theirs or BY_PROXY in (ours[0][0], theirs[0][0]):
            continue
        for our, their in zip(ours, theirs, strict=False):
            if our != their:
                if is_finding(our, their):
                    said.append(f"lb has {our} where {name} has {their}")
                break
    return said


def is_finding(our, their):
    """Two refusals are one. What the other's server refused, that proxy has passed on where lb did not."""
    refusals = (BY_PROXY, BY_SERVER)
    return not (our[0] in refusals and their[0] in refusals) and their[0] != BY_SERVER
