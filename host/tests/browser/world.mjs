// What the page is tested in: servers to balance over, lb itself, and traffic.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Waits until `look` returns something, and returns it. */
export async function until(what, look, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A server that answers health checks, and everything else after a moment; `/fail` with 500. */
export async function origin(port = 0) {
  let complaint = null;
  const server = http.createServer((request, response) => {
    if (complaint && request.url === "/status") return response.writeHead(503, complaint).end();
    const answer = () => {
      response.statusCode = request.url === "/fail" ? 500 : 200;
      response.end("fine\n".repeat(200));
    };
    if (request.url === "/status") answer();
    else setTimeout(answer, 2 + Math.random() * 6);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const own = server.address().port;
  return {
    port: own,
    address: `127.0.0.1:${own}`,
    /** Fails its checks with these words from now on, or passes them again. */
    complain: (words) => (complaint = words),
    kill: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A configuration with `servers` of `[name, address]` and more lines for their backend, and a second frontend with a backend of its own. */
export function configuration(servers, { inter = "200ms", app = "" } = {}) {
  const list = servers.map(([name, address]) => `[[backends.app.servers]]\nname = "${name}"\naddress = "${address}"\ncookie = "${name}"`);
  return `[global]
nbthread = 2
log = "stdout"
maxconn = 4096
admin = { bind = "127.0.0.1:0" }

[defaults]
timeout = { connect = "5s", client = "10s", server = "10s", check = "10s" }

[frontends.web]
bind = ["127.0.0.1:0"]
default_backend = "app"

[frontends.spare]
bind = ["127.0.0.2:0"]
default_backend = "reports"

[backends.app]
balance = "roundrobin"
httpchk = "GET /status"
cookie = { name = "SERVER", insert = true, indirect = true, nocache = true }
default_server = { check = true, inter = "${inter}", fall = 1, rise = 5 }
${app}
${list.join("\n")}

[backends.reports]
balance = "leastconn"
[[backends.reports.servers]]
name = "reports-1"
address = "${servers[0][1]}"
[[backends.reports.servers]]
name = "reports-2"
address = "${servers[0][1]}"
backup = true
`;
}

/** lb with this configuration, once it is ready: where it serves, and where its page is. */
export async function lb(text) {
  const directory = mkdtempSync(join(tmpdir(), "lb-page-"));
  const file = join(directory, "lb.toml");
  writeFileSync(file, text);
  const child = spawn(process.env.LB, ["run", file], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said += bytes));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const found = await until("lb is ready", () => {
    if (child.exitCode !== null) throw new Error(`lb ended: ${said}`);
    const line = said.split("\n").find((line) => line.includes("ready addresses="));
    const addresses = line && /addresses="?([^"\n]*)"?/.exec(line)[1].split(", ").map((address) => address.trim().split(" ")[0]);
    const admin = /admin[^\n]*?(127\.0\.0\.1:\d+)/.exec(said)?.[1];
    return addresses && admin && { addresses: addresses.filter((address) => address !== admin), admin };
  });
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  return { ...found, page: `http://${found.admin}/`, said: () => said, stop };
}

/** Requests to all of `addresses`, so many at a time, until it is stopped. */
export function traffic(addresses, together = 8) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: together });
  let going = true, sent = 0;
  const one = (url) => new Promise((resolve) => {
    const request = http.get(url, { agent }, (response) => response.resume().on("end", resolve).on("error", resolve));
    request.on("error", resolve);
  });
  const loops = Array.from({ length: together }, async () => {
    while (going) {
      sent += 1;
      await one(`http://${addresses[sent % addresses.length]}/${sent % 50 === 0 ? "fail" : ""}`);
    }
  });
  return {
    sent: () => sent,
    stop: async () => {
      going = false;
      await Promise.all(loops);
      agent.destroy();
    },
  };
}
