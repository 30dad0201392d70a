//! Dates for log lines, in the local time zone as HAProxy writes them, and cheap enough for every line: what depends on the
//! second alone is kept for as long as the second lasts.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Turns times into text. Each thread that writes lines has its own.
#[derive(Debug)]
pub(super) struct Dates {
    zone: TimeZone,
    /// What the zone's clocks say at the second that they were asked about last.
    local: Local,
    /// `22/Nov/2026:21:46:47`, and the second of which it is the text.
    request: Text<20>,
    /// `Nov 22 21:46:47`.
    syslog: Text<15>,
    /// `2026-11-22T21:46:47`.
    iso: Text<19>,
    /// The same, in UTC.
    utc: Text<19>,
}

#[derive(Debug, Clone, Copy)]
struct Local {
    second: i64,
    civil: DateTime,
    offset: Offset,
}

#[derive(Debug)]
struct Text<const N: usize> {
    second: i64,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    const fn new() -> Text<N> {
        Text { second: i64::MIN, bytes: [b'0'; N] }
    }
}

impl Dates {
    /// Dates in the process's time zone: `TZ`, or the system's.
    pub(super) fn new() -> Dates {
        Dates::in_zone(TimeZone::system())
    }

    /// Dates in a zone that is always so many seconds ahead of UTC.
    #[cfg(test)]
    pub(super) fn ahead_of_utc(seconds: i32) -> Dates {
        Dates::in_zone(TimeZone::fixed(Offset::from_seconds(seconds).expect("less than a day")))
    }

    fn in_zone(zone: TimeZone) -> Dates {
        Dates {
            zone,
            local: Local { second: i64::MIN, civil: DateTime::ZERO, offset: Offset::UTC },
            request: Text::new(),
            syslog: Text::new(),
            iso: Text::new(),
            utc: Text::new(),
        }
    }

    /// Appends `22/Nov/2026:21:46:47.843`, the form of a request's date.
    pub(super) fn request(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, micros) = since_epoch(time);
        if self.request.second != second {
            let civil = self.local(second).civil;
            let text = &mut self.request.bytes;
            two_digits(&mut text[0..2], civil.day());
            text[2] = b'/';
            text[3..6].copy_from_slice(month(civil));
            text[6] = b'/';
            four_digits(&mut text[7..11], civil.year());
            text[11] = b':';
            clock(&mut text[12..20], civil);
            self.request.second = second;
        }
        out.extend_from_slice(&self.request.bytes);
        out.extend_from_slice(&fraction_ms(micros));
    }

    /// Appends `2026-11-22T21:46:47.843Z`, the date of RFC 3339 in UTC.
    pub(super) fn utc(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, micros) = since_epoch(time);
        if self.utc.second != second {
            self.utc.bytes = iso(Offset::UTC.to_datetime(timestamp(second)));
            self.utc.second = second;
        }
        out.extend_from_slice(&self.utc.bytes);
        out.extend_from_slice(&fraction_ms(micros));
        out.push(b'Z');
    }

    /// Appends `22/Nov/2026:21:46:47 +0000`: in UTC where `utc` says so, otherwise in the local zone.
    pub(super) fn clf(&mut self, time: SystemTime, utc: bool, out: &mut Vec<u8>) {
        let (second, _) = since_epoch(time);
        let (civil, offset) = if utc {
            (Offset::UTC.to_datetime(timestamp(second)), Offset::UTC)
        } else {
            let local = self.local(second);
            (local.civil, local.offset)
        };
        let mut text = *b"00/Jan/0000:00:00:00 +0000";
        two_digits(&mut text[0..2], civil.day());
        text[3..6].copy_from_slice(month(civil));
        four_digits(&mut text[7..11], civil.year());
        clock(&mut text[12..20], civil);
        let (sign, hours, minutes) = parts(offset);
        text[21] = sign;
        two_digits(&mut text[22..24], hours);
        two_digits(&mut text[24..26], minutes);
        out.extend_from_slice(&text);
    }

    /// Appends `Nov 22 21:46:47`, the date of RFC 3164; a day below 10 has a space before it.
    pub(super) fn syslog(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, _) = since_epoch(time);
        if self.syslog.second != second {
            let civil = self.local(second).civil;
            let text = &mut self.syslog.bytes;
            text[0..3].copy_from_slice(month(civil));
            text[3] = b' ';
            two_digits(&mut text[4..6], civil.day());
            if text[4] == b'0' {
                text[4] = b' ';
            }
            text[6] = b' ';
            clock(&mut text[7..15], civil);
            self.syslog.second = second;
        }
        out.extend_from_slice(&self.syslog.bytes);
    }

    /// Appends `2026-11-22T21:46:47.844752+00:00`, the date of RFC 5424.
    pub(super) fn iso(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, mut micros) = since_epoch(time);
        if self.iso.second != second {
            self.iso.bytes = iso(self.local(second).civil);
            self.iso.second = second;
        }
        let mut fraction = *b".000000";
        for digit in fraction[1..].iter_mut().rev() {
            *digit += (micros % 10) as u8;
            micros /= 10;
        }
        let (sign, hours, minutes) = parts(self.local(second).offset);
        let mut zone = *b"+00:00";
        zone[0] = sign;
        two_digits(&mut zone[1..3], hours);
        two_digits(&mut zone[4..6], minutes);
        out.extend_from_slice(&self.iso.bytes);
        out.extend_from_slice(&fraction);
        out.extend_from_slice(&zone);
    }

    fn local(&mut self, second: i64) -> Local {
        if second != self.local.second {
            let timestamp = timestamp(second);
            let offset = self.zone.to_offset(timestamp);
            self.local = Local { second, civil: offset.to_datetime(timestamp), offset };
        }
        self.local
    }
}

/// A second since 1970; those beyond the year 9999 are the last one.
fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

fn month(civil: DateTime) -> &'static [u8] {
    MONTHS[civil.month().unsigned_abs() as usize - 1]
}

/// An offset's sign, hours and minutes.
fn parts(offset: Offset) -> (u8, i8, i8) {
    let (sign, minutes) = (if offset.is_negative() { b'-' } else { b'+' }, offset.seconds().abs() / 60);
    (sign, (minutes / 60) as i8, (minutes % 60) as i8)
}

fn iso(civil: DateTime) -> [u8; 19] {
    let mut text = *b"0000-00-00T00:00:00";
    four_digits(&mut text[0..4], civil.year());
    two_digits(&mut text[5..7], civil.month());
    two_digits(&mut text[8..10], civil.day());
    clock(&mut text[11..19], civil);
    text
}

fn fraction_ms(micros: u32) -> [u8; 4] {
    let millis = micros / 1_000;
    let digit = |number: u32| b'0' + (number % 10) as u8;
    [b'.', digit(millis / 100), digit(millis / 10), digit(millis)]
}

/// Seconds and microseconds since 1970; a clock that is set before then is taken for 1970.
fn since_epoch(time: SystemTime) -> (i64, u32) {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (elapsed.as_secs() as i64, elapsed.subsec_micros())
}

fn clock(text: &mut [u8], civil: DateTime) {
    two_digits(&mut text[0..2], civil.hour());
    text[2] = b':';
    two_digits(&mut text[3..5], civil.minute());
    text[5] = b':';
    two_digits(&mut text[6..8], civil.second());
}

/// Of a number that is not negative.
fn two_digits(text: &mut [u8], number: i8) {
    let number = number.unsigned_abs();
    text[0] = b'0' + number / 10 % 10;
    text[1] = b'0' + number % 10;
}

fn four_digits(text: &mut [u8], number: i16) {
    two_digits(&mut text[0..2], (number / 100 % 100) as i8);
    two_digits(&mut text[2..4], (number % 100) as i8);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64, micros: u32) -> SystemTime {
        UNIX_EPOCH + Duration::new(second, micros * 1_000)
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("dates are ASCII")
    }

    #[test]
    fn the_three_forms_of_a_date() {
        let mut dates = Dates::ahead_of_utc(0);
        let time = at(1_795_384_007, 844_752);
        assert_eq!(text(|out| dates.request(time, out)), "22/Nov/2026:21:46:47.844");
        assert_eq!(text(|out| dates.syslog(time, out)), "Nov 22 21:46:47");
        assert_eq!(text(|out| dates.iso(time, out)), "2026-11-22T21:46:47.844752+00:00");
    }

    #[test]
    fn dates_in_utc_and_with_their_offset() {
        let mut dates = Dates::ahead_of_utc(-12_600);
        let time = at(1_795_384_007, 844_752);
        assert_eq!(text(|out| dates.utc(time, out)), "2026-11-22T21:46:47.844Z");
        assert_eq!(text(|out| dates.clf(time, true, out)), "22/Nov/2026:21:46:47 +0000");
        assert_eq!(text(|out| dates.clf(time, false, out)), "22/Nov/2026:18:16:47 -0330");
    }

    #[test]
    fn a_date_is_local_and_names_its_offset() {
        // St. John's, half an hour off: the same moment as above.
        let mut dates = Dates::ahead_of_utc(-12_600);
        let time = at(1_795_384_007, 7_001);
        assert_eq!(text(|out| dates.request(time, out)), "22/Nov/2026:18:16:47.007");
        assert_eq!(text(|out| dates.iso(time, out)), "2026-11-22T18:16:47.007001-03:30");
        let mut dates = Dates::ahead_of_utc(20_700);
        assert_eq!(text(|out| dates.iso(time, out)), "2026-11-23T03:31:47.007001+05:45");
    }

    #[test]
    fn a_day_below_ten_is_padded_with_a_space_for_syslog_only() {
        let mut dates = Dates::ahead_of_utc(0);
        let time = at(1_233_922_454, 655_000);
        assert_eq!(text(|out| dates.syslog(time, out)), "Feb  6 12:14:14");
        assert_eq!(text(|out| dates.request(time, out)), "06/Feb/2009:12:14:14.655");
    }

    #[test]
    fn a_change_to_summer_time_is_seen() {
        // Central Europe, 2026-03-29 01:00 UTC.
        let mut dates = Dates::in_zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone"));
        assert_eq!(text(|out| dates.syslog(at(1_774_745_999, 0), out)), "Mar 29 01:59:59");
        assert_eq!(text(|out| dates.syslog(at(1_774_746_000, 0), out)), "Mar 29 03:00:00");
        assert_eq!(text(|out| dates.syslog(at(1_774_745_999, 0), out)), "Mar 29 01:59:59");
    }

    #[test]
    #[expect(unsafe_code, reason = "the C library's word for the system's zone")]
    fn the_system_s_zone_is_the_one_that_the_c_library_finds() {
        let mut dates = Dates::new();
        for second in (0..2_000_000_000_i64).step_by(12_345_677) {
            let time = second as libc::time_t;
            // SAFETY: all zeroes is a valid `tm`: it holds integers and a pointer that may be null.
            let mut expected: libc::tm = unsafe { std::mem::zeroed() };
            // SAFETY: both pointers are valid for the call, and localtime_r keeps neither.
            assert!(!unsafe { libc::localtime_r(&raw const time, &raw mut expected) }.is_null());
            let Local { civil, offset, .. } = dates.local(second);
            assert_eq!(
                (
                    i32::from(civil.year()),
                    i32::from(civil.month()),
                    i32::from(civil.day()),
                    i32::from(civil.hour())
                ),
                (expected.tm_year + 1900, expected.tm_mon + 1, expected.tm_mday, expected.tm_hour)
            );
            assert_eq!(i64::from(offset.seconds()), expected.tm_gmtoff);
        }
    }

    #[test]
    fn what_no_calendar_has_is_its_last_second_and_what_was_before_1970_its_first() {
        let mut dates = Dates::ahead_of_utc(0);
        assert_eq!(text(|out| dates.utc(at(u64::MAX >> 2, 0), out)), "9999-12-30T22:00:00.000Z");
        assert_eq!(
            text(|out| dates.utc(UNIX_EPOCH - Duration::from_secs(9), out)),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
