//! What lies between the policy and its host: the types of `wit/` as they lie in memory, the functions to ask the
//! host, and `exportPolicy`, which makes a component's exports of a policy's functions.
//!
//! What the host hands over in a call, strings included, lives until that call ends.

const builtin = @import("builtin");
const std = @import("std");

/// For what the policy keeps.
pub const allocator = if (builtin.cpu.arch.isWasm()) std.heap.wasm_allocator else std.heap.page_allocator;

pub fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T = @ptrFromInt(@alignOf(T)),
        len: usize = 0,

        pub fn of(items: []const T) @This() {
            return .{ .ptr = items.ptr, .len = items.len };
        }

        pub fn slice(self: @This()) []const T {
            return self.ptr[0..self.len];
        }
    };
}

pub const String = List(u8);
pub const OptionString = extern struct { is_some: bool = false, value: String = .{} };
pub const Label = extern struct { key: String, value: String };

pub const Server = extern struct {
    name: String,
    address: String,
    weight: u32,
    cookie: OptionString,
    labels: List(Label),
};

pub const Kind = enum(u8) { text, integer, number, boolean, duration, texts };
pub const Value = extern struct {
    tag: enum(u8) { text, integer, number, boolean, texts },
    as: extern union { text: String, integer: i64, number: f64, boolean: bool, texts: List(String) },
};
pub const OptionValue = extern struct { is_some: bool = false, value: Value = undefined };
pub const NamedValue = extern struct { name: String, value: Value };

pub const Setting = extern struct {
    name: String,
    kind: Kind,
    default: OptionValue = .{},
    required: bool = false,
    choices: List(String) = .{},
    doc: String,
};

pub const Description = extern struct {
    name: String,
    version: String,
    summary: String,
    settings: List(Setting) = .{},
};

pub const Refusal = extern struct { setting: OptionString = .{}, message: String };
pub const Candidate = extern struct { server: u32, weight: u32 };

pub const Address = union(enum) { ipv4: [4]u8, ipv6: [8]u16 };
pub const Arrival = struct { sequence: u64, time_ms: u64, client: Address, failed: ?u32 };

/// A refusal of one setting.
pub fn refuse(setting: []const u8, message: []const u8) Refusal {
    return .{ .setting = .{ .is_some = true, .value = .of(setting) }, .message = .of(message) };
}

const host = struct {
    extern "lb:policy/request@0.1.0" fn method(answer: *String) void;
    extern "lb:policy/request@0.1.0" fn path(answer: *String) void;
    extern "lb:policy/request@0.1.0" fn query(answer: *OptionString) void;
    extern "lb:policy/request@0.1.0" fn authority(answer: *String) void;
    extern "lb:policy/request@0.1.0" fn header(name: [*]const u8, length: usize, answer: *OptionString) void;
    extern "lb:policy/request@0.1.0" fn cookie(name: [*]const u8, length: usize, answer: *OptionString) void;
    extern "lb:policy/request@0.1.0" fn @"client-port"() u32;
    extern "lb:policy/candidates@0.1.0" fn load(candidate: u32) u32;
    extern "lb:policy/candidates@0.1.0" fn loads(answer: *List(u32)) void;
    extern "lb:policy/log@0.1.0" fn write(level: u32, message: [*]const u8, length: usize) void;
};

/// The request being decided on: during `pick`.
pub const request = struct {
    pub fn method() []const u8 {
        return string(host.method);
    }
    pub fn path() []const u8 {
        return string(host.path);
    }
    pub fn authority() []const u8 {
        return string(host.authority);
    }
    pub fn query() ?[]const u8 {
        var answer: OptionString = .{};
        host.query(&answer);
        return if (answer.is_some) answer.value.slice() else null;
    }
    pub fn header(name: []const u8) ?[]const u8 {
        var answer: OptionString = .{};
        host.header(name.ptr, name.len, &answer);
        return if (answer.is_some) answer.value.slice() else null;
    }
    pub fn cookie(name: []const u8) ?[]const u8 {
        var answer: OptionString = .{};
        host.cookie(name.ptr, name.len, &answer);
        return if (answer.is_some) answer.value.slice() else null;
    }
    pub fn clientPort() u16 {
        return @intCast(host.@"client-port"());
    }
    fn string(ask: *const fn (*String) callconv(.c) void) []const u8 {
        var answer: String = .{};
        ask(&answer);
        return answer.slice();
    }
};

/// The candidates' loads: during `pick`.
pub const candidates = struct {
    pub fn load(candidate: u32) u32 {
        return host.load(candidate);
    }
    pub fn loads() []const u32 {
        var answer: List(u32) = .{};
        host.loads(&answer);
        return answer.slice();
    }
};

pub const Level = enum(u32) { debug, info, warn, @"error" };

/// Writes a line to the host's log.
pub fn log(level: Level, message: []const u8) void {
    host.write(@intFromEnum(level), message.ptr, message.len);
}

/// What the host hands over in a call; forgotten when it ends.
var handed: std.heap.ArenaAllocator = .init(allocator);

/// Makes a component's exports of `Policy`'s `description`, `configure`, `update` and `pick`.
pub fn exportPolicy(comptime Policy: type) void {
    if (!builtin.cpu.arch.isWasm()) return;
    const exports = struct {
        const Configured = extern struct { is_refusal: bool, refusal: Refusal };
        const Picked = extern struct { is_some: bool, candidate: u32 };
        var configured: Configured = undefined;
        var picked: Picked = undefined;

        fn describe() callconv(.c) *const Description {
            return &Policy.description;
        }

        fn configure(
            settings: [*]const NamedValue,
            settings_length: usize,
            servers: [*]const Server,
            servers_length: usize,
        ) callconv(.c) *const Configured {
            const refusal = Policy.configure(settings[0..settings_length], servers[0..servers_length]);
            configured.is_refusal = refusal != null;
            if (refusal) |why| configured.refusal = why;
            _ = handed.reset(.retain_capacity);
            return &configured;
        }

        fn update(all: [*]const Candidate, length: usize) callconv(.c) void {
            Policy.update(all[0..length]);
            _ = handed.reset(.retain_capacity);
        }

        fn pick(
            sequence: u64,
            time_ms: u64,
            family: u32,
            a: u32,
            b: u32,
            c: u32,
            d: u32,
            e: u32,
            f: u32,
            g: u32,
            h: u32,
            is_retry: u32,
            failed: u32,
        ) callconv(.c) *const Picked {
            const parts = [8]u32{ a, b, c, d, e, f, g, h };
            var client: Address = .{ .ipv6 = undefined };
            if (family == 0) {
                client = .{ .ipv4 = undefined };
                for (&client.ipv4, parts[0..4]) |*byte, part| byte.* = @truncate(part);
            } else {
                for (&client.ipv6, parts) |*group, part| group.* = @truncate(part);
            }
            const choice = Policy.pick(.{
                .sequence = sequence,
                .time_ms = time_ms,
                .client = client,
                .failed = if (is_retry == 0) null else failed,
            });
            picked = .{ .is_some = choice != null, .candidate = choice orelse 0 };
            _ = handed.reset(.retain_capacity);
            return &picked;
        }

        /// Gives the host memory for what it hands over. Nothing that it asks for is aligned to more than eight bytes.
        fn realloc(_: ?[*]u8, _: usize, _: usize, size: usize) callconv(.c) [*]u8 {
            const words = handed.allocator().alloc(u64, size / 8 + 1) catch @trap();
            return @ptrCast(words.ptr);
        }
    };
    @export(&exports.describe, .{ .name = "lb:policy/setup@0.1.0#describe" });
    @export(&exports.configure, .{ .name = "lb:policy/setup@0.1.0#configure" });
    @export(&exports.update, .{ .name = "lb:policy/balancer@0.1.0#update" });
    @export(&exports.pick, .{ .name = "lb:policy/balancer@0.1.0#pick" });
    @export(&exports.realloc, .{ .name = "cabi_realloc" });
}
