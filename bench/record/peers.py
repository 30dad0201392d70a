"""The proxies, each set up the same way: one thread, connections to servers kept and shared, X-Forwarded-For."""

import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field

from .machine import PROXY_CORE, Unavailable, certificate, cpu_us, memory_kb, pinned


# As cargo builds it, and by bench/pgo.
LB = ("lb", "lb-pgo")


@dataclass(frozen=True)
class Setup:
    """What a proxy is to do."""

    log: bool = False
    cookie: bool = False
    balance: str = "roundrobin"
    servers: int = 2
    frontends: int = 1
    # TLS for clients, with HTTP/2 for those that ask for it.
    tls: bool = False

    @property
    def checks(self):
        """The default configuration checks its servers."""
        return self.log and self.cookie


@dataclass
class Peer:
    """A proxy that can be started. `cannot` says why it has no part in a set-up, where it has none."""

    name: str
    program: str
    version: str
    configure: object
    command: object
    cannot: object = field(default=lambda setup: None)


class Running:
    """A proxy at work."""

    def __init__(self, peer, setup, first_port, origin_port, directory):
        self.peer, self.port, self.tls = peer, first_port, setup.tls
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "access.log"
        config = directory / peer.configure.file
        config.write_text(peer.configure(setup, first_port, origin_port, self.log))
        self.output = open(directory / "output.log", "wb")
        self.process = subprocess.Popen(
            peer.command(config),
            # HAProxy and lb write their access log to standard output.
            stdout=open(self.log, "ab"),
            stderr=self.output,
            preexec_fn=pinned(PROXY_CORE),
            cwd=directory,
        )
        self.await_ready(directory)

    def await_ready(self, directory):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with self.connect() as client:
                    client.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
                    if client.recv(64).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        said = (directory / "output.log").read_text(errors="replace")[-2000:]
        raise Unavailable(f"{self.peer.name} does not serve: {said}")

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), 5)
        if not self.tls:
            return client
        context = ssl.create_default_context(cafile=certificate())
        return context.wrap_socket(client, server_hostname="bench.example")

    def cpu_us(self):
        return cpu_us(self.process.pid)

    def memory_kb(self, which="VmRSS"):
        return memory_kb(self.process.pid, which)

    def forget_log(self):
        """Logs grow by megabytes a second."""
        with open(self.log, "r+b") as log:
            log.truncate(0)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


def configuration(file):
    """Marks what writes a configuration, with the name of its file."""

    def mark(function):
        function.file = file
        return function

    return mark


def servers(setup, origin_port):
    return [(f"s{number}", origin_port + number) for number in range(setup.servers)]


@configuration("lb.toml")
def lb(setup, port, origin_port, log):
    lines = ["[global]", "nbthread = 1", "maxconn = 8000"]
    if setup.log:
        lines.append('log = { target = "stdout", format = "raw", facility = "local0" }')
    lines += ["[defaults]", 'mode = "http"', 'timeout = { connect = "5s", client = "60s", server = "60s" }']
    if setup.log:
        lines += ['log = "global"', "httplog = true", "dontlognull = true"]
    lb_tls = f', tls = {{ crt = "{certificate()}" }}' if setup.tls else ""
    for number in range(setup.frontends):
        lines += [
            f"[frontends.front{number}]",
            f'bind = [{{ address = "127.0.0.1:{port + number}"{lb_tls} }}]',
            f'default_backend = "back{number}"',
            "forwardfor = true",
            f"[backends.back{number}]",
            f'balance = "{setup.balance}"',
        ]
        if setup.cookie:
            lines.append('cookie = { name = "SERVER", insert = true, indirect = true, nocache = true }')
        if setup.checks:
            lines.append('httpchk = "GET /status"')
        for name, server in servers(setup, origin_port):
            lines += [f"[[backends.back{number}.servers]]", f'name = "{name}"', f'address = "127.0.0.1:{server}"']
            if setup.cookie:
                lines.append(f'cookie = "{name}"')
            if setup.checks:
                lines += ["check = true", "fall = 1", "rise = 5"]
    return "\n".join(lines) + "\n"


@configuration("haproxy.cfg")
def haproxy(setup, port, origin_port, log):
    lines = ["global", " nbthread 1", " maxconn 8000"]
    if setup.log:
        lines.append(" log stdout format raw local0")
    lines += ["defaults", " mode http", " timeout connect 5s", " timeout client 60s", " timeout server 60s"]
    if setup.log:
        lines += [" log global", " option httplog", " option dontlognull"]
    ssl_words = f" ssl crt {certificate()} alpn h2,http/1.1" if setup.tls else ""
    for number in range(setup.frontends):
        lines += [
            f"frontend front{number}",
            f" bind 127.0.0.1:{port + number}{ssl_words}",
            f" default_backend back{number}",
            " option forwardfor",
            f"backend back{number}",
            f" balance {setup.balance}",
            " http-reuse always",
        ]
        if setup.cookie:
            lines.append(" cookie SERVER insert indirect nocache")
        if setup.checks:
            lines.append(" option httpchk GET /status")
        for name, server in servers(setup, origin_port):
            words = [f" server {name} 127.0.0.1:{server}"]
            if setup.cookie:
                words.append(f"cookie {name}")
            if setup.checks:
                words.append("check fall 1 rise 5")
            lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


NGINX_BALANCE = {"roundrobin": "", "leastconn": "least_conn;", "source": "ip_hash;"}
NGINX_LOG = (
    "'$remote_addr:$remote_port [$time_local] front back/$upstream_addr $request_time/$upstream_connect_time/"
    "$upstream_header_time/$upstream_response_time $status $bytes_sent \"$request\"'"
)


@configuration("nginx.conf")
def nginx(setup, port, origin_port, log):
    lines = [
        "worker_processes 1;",
        "worker_rlimit_nofile 18000;",
        "daemon off;",
        f"pid {log.parent}/nginx.pid;",
        "error_log stderr error;",
        "events { worker_connections 17000; }",
        "http {",
        f"log_format httplog {NGINX_LOG};",
        # As nginx is run where its log must not cost much: lines leave in batches.
        f"access_log {log} httplog buffer=64k flush=1s;" if setup.log else "access_log off;",
        "keepalive_requests 1000000000; keepalive_timeout 60s;",
        "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_max_temp_file_size 0; proxy_request_buffering off; client_max_body_size 0;",
        f"client_body_temp_path {log.parent}/body; proxy_temp_path {log.parent}/proxy;",
        f"fastcgi_temp_path {log.parent}/f; uwsgi_temp_path {log.parent}/u; scgi_temp_path {log.parent}/s;",
    ]
    if setup.tls:
        lines.append(f"ssl_certificate {certificate()}; ssl_certificate_key {certificate()};")
    listen = " ssl http2" if setup.tls else ""
    for number in range(setup.frontends):
        lines.append(f"upstream back{number} {{ {NGINX_BALANCE[setup.balance]}")
        lines += [f"server 127.0.0.1:{server};" for _, server in servers(setup, origin_port)]
        lines.append("keepalive 1024; keepalive_requests 1000000000; }")
        lines.append(f"server {{ listen 127.0.0.1:{port + number}{listen}; location / {{ proxy_pass http://back{number}; }} }}")
    return "\n".join(lines + ["}"]) + "\n"


ENVOY_BALANCE = {"roundrobin": "ROUND_ROBIN", "leastconn": "LEAST_REQUEST", "source": "MAGLEV"}


@configuration("envoy.yaml")
def envoy(setup, port, origin_port, log):
    endpoints = "\n".join(
        f"        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {server} }} }} }}"
        for _, server in servers(setup, origin_port)
    )
    access = f"""
          access_log:
          - name: envoy.access_loggers.file
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: {log} }}""" if setup.log else ""
    cookie = """
          - name: envoy.filters.http.stateful_session
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession
              session_state:
                name: envoy.http.stateful_session.cookie
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState
                  cookie: { name: SERVER, path: / }""" if setup.cookie else ""
    sticky = ", hash_policy: [{ connection_properties: { source_ip: true } }]" if setup.balance == "source" else ""
    return f"""static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          generate_request_id: false
          use_remote_address: true{access}
          http_filters:{cookie}
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: back, timeout: 60s{sticky} }} }}]
  clusters:
  - name: back
    connect_timeout: 5s
    lb_policy: {ENVOY_BALANCE[setup.balance]}
    circuit_breakers: {{ thresholds: [{{ max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 }}] }}
    load_assignment:
      cluster_name: back
      endpoints:
      - lb_endpoints:
{endpoints}
"""


def version(command):
    """The first line of what a program says of itself, without its path."""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0].removeprefix(command[0]).strip()


def one_frontend(setup):
    return None if setup.frontends == 1 else "is measured with one frontend only"


def nginx_cannot(setup):
    return "has no cookie persistence of its own" if setup.cookie else None


def programs(lb_program, guided_program, haproxy_program, nginx_program, envoy_program):
    """The peers, of those programs that there are."""
    found = [
        Peer(name, program, version([program, "--version"]), lb, lambda c, program=program: [program, "run", str(c)])
        for name, program in zip(LB, (lb_program, guided_program)) if program
    ]
    if haproxy_program:
        found.append(
            Peer("haproxy", haproxy_program, version([haproxy_program, "-v"]), haproxy,
                 lambda c: [haproxy_program, "-db", "-f", str(c)])
        )
    if nginx_program:
        found.append(
            Peer("nginx", nginx_program, version([nginx_program, "-v"]), nginx,
                 lambda c: [nginx_program, "-c", str(c), "-p", str(c.parent)], nginx_cannot)
        )
    if envoy_program:
        found.append(
            Peer("envoy", envoy_program, version([envoy_program, "--version"]), envoy,
                 lambda c: [envoy_program, "-c", str(c), "--concurrency", "1", "-l", "error", "--disable-hot-restart"],
                 one_frontend)
        )
    return found
