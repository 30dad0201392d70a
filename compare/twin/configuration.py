"""One configuration in two languages: a haproxy.cfg and the lb.toml that must behave the same.

Both are the seed's with parts exchanged; what a part says stands side by side, so that a reader can hold
one against the other. Addresses and ports are put in when a world starts.
"""

from dataclasses import dataclass, field

FRONTEND, BACKEND = "http_front", "flask_servers"
SECONDS = "connect 5s client 10s server 10s"
COOKIE = (
    "cookie SERVER insert indirect nocache",
    'cookie = { name = "SERVER", insert = true, indirect = true, nocache = true }',
)
CHECK = ("option httpchk GET /status", 'httpchk = "GET /status"')
FORWARDFOR = ("option forwardfor", "forwardfor = true")
NOTHING = ("", "")


def checked_server(name):
    return (f"check cookie {name} fall 1 rise 5", f'check = true\ncookie = "{name}"\nfall = 1\nrise = 5')


def plain_server(name):
    return (f"cookie {name}", f'cookie = "{name}"')


@dataclass
class Configuration:
    """`timeouts` are HAProxy's words in pairs; every other part is a pair (haproxy.cfg, lb.toml).

    `checked`: origins see health checks; `align`: begin each case with the first server next in turn;
    `refusing`, `hanging`: servers whose port refuses connections, or leaves them in a full backlog.
    """

    name: str
    timeouts: str = SECONDS
    balance: tuple = ("balance roundrobin", 'balance = "roundrobin"')
    defaults: tuple = NOTHING
    frontend: tuple = FORWARDFOR
    check: tuple = NOTHING
    cookie: tuple = COOKIE
    backend: tuple = NOTHING
    servers: dict = field(default_factory=lambda: {name: plain_server(name) for name in ("web-a", "web-b")})
    checked: bool = False
    align: bool = True
    bind: tuple = NOTHING
    maxconn: int = 4096
    httplog: bool = True
    dontlognull: bool = True
    tcp_checked: bool = False
    health_path: str = "/status"
    requests: int = 0
    refusing: tuple = ()
    hanging: tuple = ()

    def timeout_pairs(self):
        words = self.timeouts.split()
        return zip(words[::2], words[1::2], strict=True)

    def haproxy(self, port, addresses):
        timeouts = [f"timeout {name} {value}" for name, value in self.timeout_pairs()]
        servers = [f"server {name} {addresses[name]} {options[0]}" for name, options in self.servers.items()]
        return "\n".join(
            [
                "global",
                "log stdout format raw local0",
                f"maxconn {self.maxconn}",
                "defaults",
                "mode http",
                "log global",
                *(["option httplog"] if self.httplog else []),
                *(["option dontlognull"] if self.dontlognull else []),
                *timeouts,
                self.defaults[0],
                f"frontend {FRONTEND}",
                f"bind *:{port}-{port + 1} {self.bind[0]}",
                f"default_backend {BACKEND}",
                self.frontend[0],
                f"backend {BACKEND}",
                self.balance[0],
                self.check[0],
                self.cookie[0],
                self.backend[0],
                *servers,
                "",
            ]
        )

    def lb(self, port, addresses):
        timeouts = ", ".join(f'{name.replace("-", "_")} = "{value}"' for name, value in self.timeout_pairs())
        servers = [
            f'[[backends.{BACKEND}.servers]]\nname = "{name}"\naddress = "{addresses[name]}"\n{options[1]}\n'
            for name, options in self.servers.items()
        ]
        return "\n".join(
            [
                "[global]",
                'log = { target = "stdout", format = "raw", facility = "local0" }',
                f"maxconn = {self.maxconn}",
                "[defaults]",
                'mode = "http"',
                'log = "global"',
                f"httplog = {str(self.httplog).lower()}",
                f"dontlognull = {str(self.dontlognull).lower()}",
                f"timeout = {{ {timeouts} }}",
                self.defaults[1],
                f"[frontends.{FRONTEND}]",
                f'bind = [{{ address = "*:{port}-{port + 1}", {self.bind[1]} }}]'
                if self.bind[1]
                else f'bind = ["*:{port}-{port + 1}"]',
                f'default_backend = "{BACKEND}"',
                self.frontend[1],
                f"[backends.{BACKEND}]",
                self.balance[1],
                self.check[1],
                self.cookie[1],
                self.backend[1],
                *servers,
            ]
        )
