"""One configuration in two languages: a haproxy.cfg and the lb.toml that must behave the same.

Both are the seed's with parts exchanged; what a part says stands side by side, so that a reader can hold
one against the other. Addresses and ports are put in when a world starts.
"""

from dataclasses import dataclass, field

SECONDS = "connect 5s client 10s server 10s"
COOKIE = ("cookie SERVER insert indirect nocache",
          'cookie = { name = "SERVER", insert = true, indirect = true, nocache = true }')
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
    global_: tuple = NOTHING
    frontend: tuple = FORWARDFOR
    check: tuple = NOTHING
    cookie: tuple = COOKIE
    backend: tuple = NOTHING
    servers: dict = field(default_factory=lambda: {name: plain_server(name) for name in ("web-a", "web-b")})
    checked: bool = False
    align: bool = True
    refusing: tuple = ()
    hanging: tuple = ()

    def haproxy(self, port, addresses):
        words = self.timeouts.split()
        timeouts = [f"timeout {name} {value}" for name, value in zip(words[::2], words[1::2])]
        servers = [f"server {name} {addresses[name]} {options[0]}" for name, options in self.servers.items()]
        return "\n".join([
            "global",
            "log stdout format raw local0",
            "maxconn 4096",
            self.global_[0],
            "defaults",
            "mode http",
            "log global",
            "option httplog",
            "option dontlognull",
            *timeouts,
            self.defaults[0],
            "frontend http_front",
            f"bind *:{port}-{port + 1}",
            "default_backend flask_servers",
            self.frontend[0],
            "backend flask_servers",
            self.balance[0],
            self.check[0],
            self.cookie[0],
            self.backend[0],
            *servers,
            "",
        ])

    def lb(self, port, addresses):
        words = self.timeouts.split()
        timeouts = ", ".join(f'{name.replace("-", "_")} = "{value}"' for name, value in zip(words[::2], words[1::2]))
        servers = [
            f'[[backends.flask_servers.servers]]\nname = "{name}"\naddress = "{addresses[name]}"\n{options[1]}\n'
            for name, options in self.servers.items()
        ]
        return "\n".join([
            "[global]",
            'log = { target = "stdout", format = "raw", facility = "local0" }',
            "maxconn = 4096",
            self.global_[1],
            "[defaults]",
            'mode = "http"',
            'log = "global"',
            "httplog = true",
            "dontlognull = true",
            f"timeout = {{ {timeouts} }}",
            self.defaults[1],
            "[frontends.http_front]",
            f'bind = ["*:{port}-{port + 1}"]',
            'default_backend = "flask_servers"',
            self.frontend[1],
            "[backends.flask_servers]",
            self.balance[1],
            self.check[1],
            self.cookie[1],
            self.backend[1],
            *servers,
        ])
