//! zone: servers of the balancer's own zone first, as long as enough of them are left.
//!
//! A server's label `zone` says where it is. While at least `enough` percent of the zone's servers may be chosen, they
//! take turns; with fewer, all servers of all zones do, so that what is left of the zone is not overrun.

const std = @import("std");
const lb = @import("lb.zig");

comptime {
    lb.exportPolicy(@This());
}

const settings = [_]lb.Setting{
    .{
        .name = .of("zone"),
        .kind = .text,
        .required = true,
        .doc = .of("Where this balancer is: the label `zone` of the servers near it."),
    },
    .{
        .name = .of("enough"),
        .kind = .integer,
        .default = .{ .is_some = true, .value = .{ .tag = .integer, .as = .{ .integer = 50 } } },
        .doc = .of("How many percent of the zone's servers must be there for it to serve itself, 1 to 100."),
    },
};

pub const description: lb.Description = .{
    .name = .of("zone"),
    .version = .of("1.0.0"),
    .summary = .of("servers of its own zone first, as long as enough are left"),
    .settings = .of(&settings),
};

var enough: u64 = 50;
/// Whether each server is near.
var near: []bool = &.{};
var near_servers: u64 = 0;
/// Those who take turns, by index into the candidates.
var turns: []u32 = &.{};

pub fn configure(given: []const lb.NamedValue, servers: []const lb.Server) ?lb.Refusal {
    var zone: []const u8 = "";
    for (given) |setting| {
        if (std.mem.eql(u8, setting.name.slice(), "zone")) zone = setting.value.as.text.slice();
        if (std.mem.eql(u8, setting.name.slice(), "enough")) {
            const percent = setting.value.as.integer;
            if (percent < 1 or percent > 100) return lb.refuse("enough", "must be from 1 to 100");
            enough = @intCast(percent);
        }
    }
    near = lb.allocator.realloc(near, servers.len) catch @panic("out of memory");
    near_servers = 0;
    for (near, servers) |*is_near, server| {
        is_near.* = std.mem.eql(u8, label(server, "zone"), zone);
        near_servers += @intFromBool(is_near.*);
    }
    return null;
}

fn label(server: lb.Server, key: []const u8) []const u8 {
    for (server.labels.slice()) |pair| {
        if (std.mem.eql(u8, pair.key.slice(), key)) return pair.value.slice();
    }
    return "";
}

pub fn update(candidates: []const lb.Candidate) void {
    turns = lb.allocator.realloc(turns, candidates.len) catch @panic("out of memory");
    var left: usize = 0;
    for (candidates, 0..) |candidate, index| {
        if (near[candidate.server]) {
            turns[left] = @intCast(index);
            left += 1;
        }
    }
    if (left > 0 and left * 100 >= enough * near_servers) {
        turns = lb.allocator.realloc(turns, left) catch @panic("out of memory");
    } else {
        for (turns, 0..) |*turn, index| turn.* = @intCast(index);
    }
}

pub fn pick(arrival: lb.Arrival) ?u32 {
    if (turns.len == 0) return null;
    const turn: usize = @intCast(arrival.sequence % turns.len);
    if (arrival.failed != turns[turn]) return turns[turn];
    return turns[(turn + 1) % turns.len];
}

fn configureZones(comptime zones: []const []const u8, percent: i64) ?lb.Refusal {
    var labels: [zones.len]lb.Label = undefined;
    var servers: [zones.len]lb.Server = undefined;
    inline for (zones, 0..) |zone, i| {
        labels[i] = .{ .key = .of("zone"), .value = .of(zone) };
        servers[i] = .{
            .name = .of("s"),
            .address = .of("192.0.2.1:80"),
            .weight = 1,
            .cookie = .{},
            .labels = .of(labels[i .. i + 1]),
        };
    }
    return configure(&.{
        .{ .name = .of("zone"), .value = .{ .tag = .text, .as = .{ .text = .of("near") } } },
        .{ .name = .of("enough"), .value = .{ .tag = .integer, .as = .{ .integer = percent } } },
    }, &servers);
}

fn updateServers(comptime servers: []const u32) void {
    var candidates: [servers.len]lb.Candidate = undefined;
    for (&candidates, servers) |*candidate, server| candidate.* = .{ .server = server, .weight = 1 };
    update(&candidates);
}

fn expectPicks(expected: []const u32) !void {
    for (expected, 0..) |candidate, sequence| {
        const arrival: lb.Arrival = .{ .sequence = sequence, .time_ms = 0, .client = .{ .ipv4 = @splat(1) }, .failed = null };
        try std.testing.expectEqual(candidate, pick(arrival).?);
    }
}

test "the zone serves itself while enough of it is left" {
    try std.testing.expect(configureZones(&.{ "far", "near", "near" }, 50) == null);
    updateServers(&.{ 0, 1, 2 });
    try expectPicks(&.{ 1, 2, 1, 2 });
    updateServers(&.{ 0, 2 });
    try expectPicks(&.{ 1, 1 });
}

test "all zones share the work when too little of it is left" {
    try std.testing.expect(configureZones(&.{ "far", "near", "near" }, 51) == null);
    updateServers(&.{ 0, 2 });
    try expectPicks(&.{ 0, 1, 0 });
}

test "a retry goes elsewhere" {
    try std.testing.expect(configureZones(&.{ "near", "near" }, 50) == null);
    updateServers(&.{ 0, 1 });
    const retry: lb.Arrival = .{ .sequence = 0, .time_ms = 0, .client = .{ .ipv4 = @splat(1) }, .failed = 0 };
    try std.testing.expectEqual(1, pick(retry).?);
}

test "all zones share the work where none is near" {
    try std.testing.expect(configureZones(&.{ "far", "far" }, 50) == null);
    updateServers(&.{ 0, 1 });
    try expectPicks(&.{ 0, 1, 0 });
}

test "refuses a share that cannot be" {
    try std.testing.expectEqualStrings("enough", configureZones(&.{"near"}, 0).?.setting.value.slice());
}
