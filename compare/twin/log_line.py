"""The httplog line, taken apart into its fields."""

import re

LINE = re.compile(
    r"(?P<client>\S+):(?P<port>\d+) \[(?P<date>[^\]]+)\] (?P<frontend>\S+) (?P<backend>[^/ ]+)/(?P<server>\S+) "
    r"(?P<TR>-?\d+)/(?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Tr>-?\d+)/(?P<Ta>\+?-?\d+) (?P<status>-?\d+) (?P<bytes>\+?\d+) "
    r"(?P<request_cookie>\S+) (?P<response_cookie>\S+) (?P<state>\S{4}) "
    r"(?P<process_conns>\d+)/(?P<frontend_conns>\d+)/(?P<backend_conns>\d+)/(?P<server_conns>\d+)/(?P<retries>\+?\d+) "
    r"(?P<server_queue>\d+)/(?P<backend_queue>\d+) (?:\{(?P<captures>.*)\} )?\"(?P<request>.*)$"
)
CERTAIN_BYTES = 850
TIMERS = ("TR", "Tw", "Tc", "Tr", "Ta")


def parse(line):
    """The fields by name, without what differs from run to run (port, date); none for another line."""
    match = LINE.match(line)
    if not match:
        return None
    fields = {name: value for name, value in match.groupdict().items() if value is not None}
    if not fields["request"].endswith('"'):
        # Cut at the longest line there may be; how much of the request fits depends on the digits before it.
        fields["cut_at"] = str(len(line))
        fields["request"] = fields["request"][:CERTAIN_BYTES]
    fields["request"] = fields["request"].removesuffix('"')
    del fields["port"], fields["date"]
    return fields


def notice(line, backend):
    """What a line that is no exchange's says of a server's health or of a connection: of what, and what."""
    if match := re.search(rf"{backend}/(\S+) is (UP|DOWN)\b", line):
        return match[1], match[2]
    if match := re.match(r"Connect from (\S+):\d+ to (\S+):\d+ (.*)", line):
        return "connection", f"from {match[1]} to {match[2]} {match[3]}"
    return None
