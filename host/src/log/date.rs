//! Dates for log lines, in the local time zone as HAProxy writes them, and cheap enough for every line.
//!
//! Asking the C library for a local time costs a few hundred nanoseconds and a lock. A zone's offset from
//! UTC only ever changes at a quarter of an hour, so it is asked for once per quarter; the calendar is then
//! arithmetic, and its text is kept for as long as the second lasts.

use std::time::{SystemTime, UNIX_EPOCH};

/// What the calendar and the clock on the wall say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    /// 0 to 11.
    month: usize,
    /// 1 to 31.
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Seconds in which a zone's offset cannot change.
const QUARTER: i64 = 900;

/// Turns times into text. Each thread that writes lines has its own.
#[derive(Debug)]
pub(super) struct Dates {
    quarter: i64,
    offset: i64,
    zone: fn(i64) -> i64,
    /// `22/Nov/2026:21:46:47`, and the second of which it is the text.
    request: Text<20>,
    /// `Nov 22 21:46:47`.
    syslog: Text<15>,
    /// `2026-11-22T21:46:47`.
    iso: Text<19>,
    /// The same, in UTC.
    utc: Text<19>,
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
        Dates::with_zone(system_offset)
    }

    /// Dates in the zone whose offset from UTC, in seconds, `zone` knows for each second since 1970.
    pub(super) fn with_zone(zone: fn(i64) -> i64) -> Dates {
        Dates {
            quarter: i64::MIN,
            offset: 0,
            zone,
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
            let civil = self.civil(second);
            let text = &mut self.request.bytes;
            two_digits(&mut text[0..2], civil.day);
            text[2] = b'/';
            text[3..6].copy_from_slice(MONTHS[civil.month]);
            text[6] = b'/';
            four_digits(&mut text[7..11], civil.year);
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
            self.utc.bytes = iso(civil_at(second));
            self.utc.second = second;
        }
        out.extend_from_slice(&self.utc.bytes);
        out.extend_from_slice(&fraction_ms(micros));
        out.push(b'Z');
    }

    /// Appends `22/Nov/2026:21:46:47 +0000`: in UTC where `utc` says so, otherwise in the local zone.
    pub(super) fn clf(&mut self, time: SystemTime, utc: bool, out: &mut Vec<u8>) {
        let (second, _) = since_epoch(time);
        let offset = if utc { 0 } else { self.offset(second) };
        let civil = civil_at(second + offset);
        let mut text = *b"00/Jan/0000:00:00:00 +0000";
        two_digits(&mut text[0..2], civil.day);
        text[3..6].copy_from_slice(MONTHS[civil.month]);
        four_digits(&mut text[7..11], civil.year);
        clock(&mut text[12..20], civil);
        if offset < 0 {
            text[21] = b'-';
        }
        let minutes = offset.abs() / 60;
        two_digits(&mut text[22..24], (minutes / 60) as u8);
        two_digits(&mut text[24..26], (minutes % 60) as u8);
        out.extend_from_slice(&text);
    }

    /// Appends `Nov 22 21:46:47`, the date of RFC 3164; a day below 10 has a space before it.
    pub(super) fn syslog(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, _) = since_epoch(time);
        if self.syslog.second != second {
            let civil = self.civil(second);
            let text = &mut self.syslog.bytes;
            text[0..3].copy_from_slice(MONTHS[civil.month]);
            text[3] = b' ';
            two_digits(&mut text[4..6], civil.day);
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
            self.iso.bytes = iso(self.civil(second));
            self.iso.second = second;
        }
        let mut fraction = *b".000000";
        for digit in fraction[1..].iter_mut().rev() {
            *digit += (micros % 10) as u8;
            micros /= 10;
        }
        let offset = self.offset(second);
        let minutes = offset.abs() / 60;
        let mut zone = *b"+00:00";
        if offset < 0 {
            zone[0] = b'-';
        }
        two_digits(&mut zone[1..3], (minutes / 60) as u8);
        two_digits(&mut zone[4..6], (minutes % 60) as u8);
        out.extend_from_slice(&self.iso.bytes);
        out.extend_from_slice(&fraction);
        out.extend_from_slice(&zone);
    }

    fn offset(&mut self, second: i64) -> i64 {
        let quarter = second.div_euclid(QUARTER);
        if quarter != self.quarter {
            self.quarter = quarter;
            self.offset = (self.zone)(second);
        }
        self.offset
    }

    fn civil(&mut self, second: i64) -> Civil {
        civil_at(second + self.offset(second))
    }
}

/// The calendar and the clock at a second since 1970, of a clock that is set to the zone already.
fn civil_at(second: i64) -> Civil {
    let (year, month, day) = calendar(second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400);
    Civil {
        year,
        month,
        day,
        hour: (of_day / 3_600) as u8,
        minute: (of_day / 60 % 60) as u8,
        second: (of_day % 60) as u8,
    }
}

fn iso(civil: Civil) -> [u8; 19] {
    let mut text = *b"0000-00-00T00:00:00";
    four_digits(&mut text[0..4], civil.year);
    two_digits(&mut text[5..7], civil.month as u8 + 1);
    two_digits(&mut text[8..10], civil.day);
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

/// Year, month (0 to 11) and day of a day since 1970, in the Gregorian calendar. Years are counted from
/// March, so that the leap day is a year's last, and in cycles of 400, which all have the same length.
fn calendar(day: i64) -> (i64, usize, u8) {
    let day = day + 719_468;
    let cycle = day.div_euclid(146_097);
    let of_cycle = day.rem_euclid(146_097);
    let year_of_cycle = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = cycle * 400 + year_of_cycle + i64::from(month < 2);
    (year, month as usize, day as u8)
}

fn clock(text: &mut [u8], civil: Civil) {
    two_digits(&mut text[0..2], civil.hour);
    text[2] = b':';
    two_digits(&mut text[3..5], civil.minute);
    text[5] = b':';
    two_digits(&mut text[6..8], civil.second);
}

fn two_digits(text: &mut [u8], number: u8) {
    text[0] = b'0' + number / 10 % 10;
    text[1] = b'0' + number % 10;
}

fn four_digits(text: &mut [u8], number: i64) {
    two_digits(&mut text[0..2], (number / 100 % 100) as u8);
    two_digits(&mut text[2..4], (number % 100) as u8);
}

fn system_offset(second: i64) -> i64 {
    let time = second as libc::time_t;
    // SAFETY: all zeroes is a valid `tm`: it holds integers and a pointer that may be null.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and localtime_r keeps neither. The process never changes
    // its environment, so that reading TZ races with nothing.
    let found = unsafe { libc::localtime_r(&raw const time, &raw mut local) };
    if found.is_null() { 0 } else { local.tm_gmtoff }
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
        let mut dates = Dates::with_zone(|_| 0);
        let time = at(1_795_384_007, 844_752);
        assert_eq!(text(|out| dates.request(time, out)), "22/Nov/2026:21:46:47.844");
        assert_eq!(text(|out| dates.syslog(time, out)), "Nov 22 21:46:47");
        assert_eq!(text(|out| dates.iso(time, out)), "2026-11-22T21:46:47.844752+00:00");
    }

    #[test]
    fn dates_in_utc_and_with_their_offset() {
        let mut dates = Dates::with_zone(|_| -12_600);
        let time = at(1_795_384_007, 844_752);
        assert_eq!(text(|out| dates.utc(time, out)), "2026-11-22T21:46:47.844Z");
        assert_eq!(text(|out| dates.clf(time, true, out)), "22/Nov/2026:21:46:47 +0000");
        assert_eq!(text(|out| dates.clf(time, false, out)), "22/Nov/2026:18:16:47 -0330");
    }

    #[test]
    fn a_date_is_local_and_names_its_offset() {
        // St. John's, half an hour off: the same moment as above.
        let mut dates = Dates::with_zone(|_| -12_600);
        let time = at(1_795_384_007, 7_001);
        assert_eq!(text(|out| dates.request(time, out)), "22/Nov/2026:18:16:47.007");
        assert_eq!(text(|out| dates.iso(time, out)), "2026-11-22T18:16:47.007001-03:30");
        let mut dates = Dates::with_zone(|_| 20_700);
        assert_eq!(text(|out| dates.iso(time, out)), "2026-11-23T03:31:47.007001+05:45");
    }

    #[test]
    fn a_day_below_ten_is_padded_with_a_space_for_syslog_only() {
        let mut dates = Dates::with_zone(|_| 0);
        let time = at(1_233_922_454, 655_000);
        assert_eq!(text(|out| dates.syslog(time, out)), "Feb  6 12:14:14");
        assert_eq!(text(|out| dates.request(time, out)), "06/Feb/2009:12:14:14.655");
    }

    #[test]
    fn a_change_to_summer_time_is_seen() {
        // Central Europe, 2026-03-29 01:00 UTC.
        let mut dates = Dates::with_zone(|second| if second < 1_774_746_000 { 3_600 } else { 7_200 });
        assert_eq!(text(|out| dates.syslog(at(1_774_745_999, 0), out)), "Mar 29 01:59:59");
        assert_eq!(text(|out| dates.syslog(at(1_774_746_000, 0), out)), "Mar 29 03:00:00");
        assert_eq!(text(|out| dates.syslog(at(1_774_745_999, 0), out)), "Mar 29 01:59:59");
    }

    #[test]
    fn the_calendar_knows_leap_years_and_ends_of_years() {
        assert_eq!(calendar(0), (1970, 0, 1));
        assert_eq!(calendar(10_956), (1999, 11, 31));
        assert_eq!(calendar(10_957), (2000, 0, 1));
        assert_eq!(calendar(11_016), (2000, 1, 29));
        assert_eq!(calendar(11_017), (2000, 2, 1));
        assert_eq!(calendar(47_540), (2100, 1, 28));
        assert_eq!(calendar(47_541), (2100, 2, 1));
    }

    #[test]
    fn the_system_agrees_with_the_c_library() {
        for second in (0..2_000_000_000_i64).step_by(12_345_677) {
            let time = second as libc::time_t;
            // SAFETY: as in `system_offset`.
            let mut expected: libc::tm = unsafe { std::mem::zeroed() };
            // SAFETY: as in `system_offset`.
            assert!(!unsafe { libc::localtime_r(&raw const time, &raw mut expected) }.is_null());
            let civil = Dates::new().civil(second);
            assert_eq!(
                (civil.year, civil.month as i32, i32::from(civil.day), i32::from(civil.hour)),
                (i64::from(expected.tm_year) + 1900, expected.tm_mon, expected.tm_mday, expected.tm_hour)
            );
        }
    }
}
