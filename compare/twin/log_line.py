"""The httplog line, taken apart into its fields."""

import re

LINE = re.compile(
    r"(?P<client>\S+):(?P<port>\d+) \[(?P<date>[^\]]+)\] (?P<frontend>\S+) (?P<backend>[^/ ]+)/(?P<server>\S+) "
    r"(?P<TR>-?\d+)/(?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Tr>-?\d+)/(?P<Ta>\+?-?\d+) (?P<status>-?\d+) (?P<bytes>\+?\d+) "
    r"(?P<request_cookie>\S+) (?P<response_cookie>\S+) (?P<state>\S{4}) "
    r"(?P<process_conns>\d+)/(?P<frontend_conns>\d+)/(?P<backend_conns>\d+)/(?P<server_conns>\d+)/(?P<retries>\+?\d+) "
    r"(?P<server_queue>\d+)/(?P<backend_queue>\d+) (?:\{(?P<captures>.*)\} )?\"(?P<request>.*)$"
)
TIMERS = ("TR", "Tw", "Tc", "Tr", "Ta")


def parse(line):
    """The fields by name, without what differs from run to run (port, date); none for another line."""
    match = LINE.match(line)
    if not match:
        return None
    fields = {name: value for name, value in match.groupdict().items() if value is not None}
    fields["request"] = fields["request"].removesuffix('"')
    del fields["port"], fields["date"]
    return fields
