//! {{name}}: each candidate in its turn, beginning with the one that the setting `first` says.

const std = @import("std");
const lb = @import("lb.zig");

comptime {
    lb.exportPolicy(@This());
}

const settings = [_]lb.Setting{.{
    .name = .of("first"),
    .kind = .integer,
    .default = .{ .is_some = true, .value = .{ .tag = .integer, .as = .{ .integer = 0 } } },
    .doc = .of("Which server is the first to be picked, counted from 0."),
}};

pub const description: lb.Description = .{
    .name = .of("{{name}}"),
    .version = .of("0.1.0"),
    .summary = .of("each server in its turn"),
    .settings = .of(&settings),
};

var first: u64 = 0;
var count: u64 = 0;

/// Answers what is wrong with the settings, or null.
pub fn configure(given: []const lb.NamedValue, _: []const lb.Server) ?lb.Refusal {
    for (given) |setting| {
        if (std.mem.eql(u8, setting.name.slice(), "first")) {
            if (setting.value.as.integer < 0) return lb.refuse("first", "must be 0 or more");
            first = @intCast(setting.value.as.integer);
        }
    }
    return null;
}

pub fn update(candidates: []const lb.Candidate) void {
    count = candidates.len;
}

/// An index into the candidates; null passes to the next policy.
pub fn pick(arrival: lb.Arrival) ?u32 {
    if (count == 0) return null;
    return @intCast((arrival.sequence +% first) % count);
}

fn pickNumber(sequence: u64) ?u32 {
    return pick(.{ .sequence = sequence, .time_ms = 0, .client = .{ .ipv4 = .{ 192, 0, 2, 7 } }, .failed = null });
}

fn configureFirst(value: i64) ?lb.Refusal {
    return configure(&.{.{ .name = .of("first"), .value = .{ .tag = .integer, .as = .{ .integer = value } } }}, &.{});
}

test "takes the candidates in turn" {
    try std.testing.expect(configureFirst(1) == null);
    update(&.{ .{ .server = 0, .weight = 1 }, .{ .server = 1, .weight = 1 }, .{ .server = 2, .weight = 1 } });
    for ([_]u32{ 1, 2, 0, 1 }, 0..) |expected, sequence| {
        try std.testing.expectEqual(expected, pickNumber(sequence).?);
    }
}

test "refuses a negative first" {
    try std.testing.expectEqualStrings("first", configureFirst(-1).?.setting.value.slice());
}
