//! `[global]`.

use super::{Key, Scope};

const GLOBAL: &[Scope] = &[Scope::Global];
const LOGGING: &[Scope] = &[Scope::Global, Scope::Defaults, Scope::Frontend];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "nbthread",
        scopes: GLOBAL,
        kind: "an integer from 1 to 1024",
        default: "as many as the process may use cores",
        haproxy: "nbthread",
        doc: "Worker threads. Each has its own listeners, connections and policy instances.",
        example: "nbthread = 4",
    },
    Key {
        name: "maxconn",
        scopes: &[Scope::Global, Scope::Defaults, Scope::Frontend, Scope::DefaultServer, Scope::Server],
        kind: "an integer from 0 to 4294967295",
        default: "0",
        haproxy: "maxconn",
        doc: "In `[global]`, `[defaults]` and frontends: the client connections held at once, by the process or by \
              a frontend. Past it accepting pauses, and connections wait in the kernel. At a server: the \
              requests in flight at once, over all workers; the excess queues. 0: no limit.",
        example: "maxconn = 4096",
    },
    Key {
        name: "hard_stop_after",
        scopes: GLOBAL,
        kind: "a duration, as in \"30s\"",
        default: "as long as it takes",
        haproxy: "hard-stop-after",
        doc: "How long a drain may take before what is left is cut off.",
        example: "hard_stop_after = \"30s\"",
    },
    Key {
        name: "watch",
        scopes: GLOBAL,
        kind: "true or false",
        default: "false",
        haproxy: "",
        doc: "Reload, as SIGHUP does, where `lb.toml` or a policy's file that it names has changed. They are looked at \
              once a second, and a change counts once it has lasted until the next look. What is wrong stays out, \
              and the log says why, once.",
        example: "watch = true",
    },
    Key {
        name: "log",
        scopes: LOGGING,
        kind: "a log target, a table, or an array of these",
        default: "none",
        haproxy: "log",
        doc: "Where log lines go. In `[global]`: the process's own. In `[defaults]` and frontends: one line an \
              exchange; `\"global\"` stands for the targets of `[global]`, and `[]` for none. A target alone is \
              short for a table with that `target`.",
        example: "log = [{ target = \"stdout\", format = \"raw\" }, \"udp@10.0.0.9:514\"]",
    },
    Key {
        name: "log.target",
        scopes: LOGGING,
        kind: "a log target, as in \"stdout\"",
        default: "required",
        haproxy: "log <address>",
        doc: "`stdout`, `stderr`, `file:PATH` (appended to), `udp@HOST:PORT` or `HOST:PORT` (syslog; port 514 where \
              `udp@HOST` has none), or `unix@PATH` (syslog, `unix@/dev/log` as a rule).",
        example: "log = { target = \"unix@/dev/log\" }",
    },
    Key {
        name: "log.format",
        scopes: LOGGING,
        kind: "a log format",
        default: "`raw` for stdout, stderr and files, `local` for syslog",
        haproxy: "log … format",
        doc: "How a line is framed. `raw`: not at all. `local` and `rfc3164`: a syslog header, without and with the \
              host's name. `rfc5424`: that RFC's header. `short`: `<LEVEL>`, as systemd reads it. `priority`: level \
              and facility in one number. `timed`: `<LEVEL>` and the time. `iso`: the time.",
        example: "log = { target = \"stderr\", format = \"short\" }",
    },
    Key {
        name: "log.facility",
        scopes: LOGGING,
        kind: "a syslog facility",
        default: "`local0`",
        haproxy: "log … <facility>",
        doc: "`kern`, `user`, `mail`, `daemon`, `auth`, `syslog`, `lpr`, `news`, `uucp`, `cron`, `auth2`, `ftp`, `ntp`, \
              `audit`, `alert`, `cron2`, or `local0` to `local7`.",
        example: "log = { target = \"udp@10.0.0.9\", facility = \"daemon\" }",
    },
    Key {
        name: "log.level",
        scopes: LOGGING,
        kind: "a syslog level",
        default: "`debug`",
        haproxy: "log … <level>",
        doc: "The least urgent level that is written: `emerg`, `alert`, `crit`, `err`, `warning`, `notice`, `info` or \
              `debug`. Exchanges are logged at `info`.",
        example: "log = { target = \"stderr\", level = \"notice\" }",
    },
    Key {
        name: "log.tag",
        scopes: LOGGING,
        kind: "a string of visible ASCII characters",
        default: "`lb`",
        haproxy: "log-tag",
        doc: "The program's name in syslog headers.",
        example: "log = { target = \"udp@10.0.0.9\", tag = \"edge\" }",
    },
    Key {
        name: "log.length",
        scopes: LOGGING,
        kind: "an integer from 80 to 65535",
        default: "1024; 8192 for lines of JSON",
        haproxy: "log … len",
        doc: "The most bytes of a line; longer ones are cut. Of JSON, long values are shortened instead, so that it \
              stays JSON.",
        example: "log = { target = \"udp@10.0.0.9\", length = 8192 }",
    },
    Key {
        name: "tune",
        scopes: GLOBAL,
        kind: "a table",
        default: "",
        haproxy: "tune.*",
        doc: "Sizes and bounds.",
        example: "tune = { bufsize = \"32k\", maxhdr = 200 }",
    },
    Key {
        name: "tune.bufsize",
        scopes: GLOBAL,
        kind: "a size from 1024 bytes to 16 MiB, as in \"16k\"",
        default: "`\"16k\"`",
        haproxy: "tune.bufsize",
        doc: "The largest message head, and the size of a connection's buffers.",
        example: "tune.bufsize = \"32k\"",
    },
    Key {
        name: "tune.maxhdr",
        scopes: GLOBAL,
        kind: "an integer from 1 to 32767",
        default: "101",
        haproxy: "tune.http.maxhdr",
        doc: "The most header lines in a message head.",
        example: "tune.maxhdr = 200",
    },
    Key {
        name: "tune.pool_max_idle",
        scopes: GLOBAL,
        kind: "an integer from 0 to 65535",
        default: "256",
        haproxy: "pool-max-conn",
        doc: "The most idle connections that a worker keeps to one server. 0: none are kept.",
        example: "tune.pool_max_idle = 16",
    },
    Key {
        name: "tune.pool_idle_timeout",
        scopes: GLOBAL,
        kind: "a duration, as in \"5s\"",
        default: "`\"5s\"`",
        haproxy: "pool-purge-delay",
        doc: "How long an idle connection to a server is kept.",
        example: "tune.pool_idle_timeout = \"30s\"",
    },
];
