//! What stands around a message: the syslog header of a target's format, and its end of line.

use std::time::SystemTime;

use super::date::Dates;
use crate::config::model::{LogFormat, LogLevel, LogTarget};

/// A target's framing. All that does not change from line to line is made ready once.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    format: LogFormat,
    /// The facility in the place where a priority wants it.
    facility: u8,
    /// What stands between the date and the message.
    sender: Box<[u8]>,
    /// The most bytes of a line, without its end.
    length: usize,
    /// The most bytes of a line of JSON, without its end.
    json_length: usize,
}

/// Of a line, where the target does not say otherwise.
const LENGTH: usize = 1_024;
/// Of a line of JSON, which has names beside its values: what syslog daemons take as a rule.
const JSON_LENGTH: usize = 8_192;

impl Frame {
    /// The framing of `target` for a process of this number on a host of this name.
    pub(super) fn new(target: &LogTarget, host: &str, pid: u32) -> Frame {
        let tag = &target.tag;
        let sender = match target.format {
            LogFormat::Local => format!(" {tag}[{pid}]: "),
            LogFormat::Rfc3164 => format!(" {host} {tag}[{pid}]: "),
            LogFormat::Rfc5424 => format!(" {host} {tag} {pid} - - "),
            LogFormat::Timed | LogFormat::Iso => " ".to_owned(),
            LogFormat::Raw | LogFormat::Short | LogFormat::Priority => String::new(),
        };
        Frame {
            format: target.format,
            facility: target.facility << 3,
            sender: sender.into_bytes().into(),
            length: target.length.unwrap_or(LENGTH),
            json_length: target.length.unwrap_or(JSON_LENGTH),
        }
    }

    /// Appends `message` as a whole line: header, message, end of line. A line that is too long loses the end
    /// of its message. `now` is asked for only where the header has a date.
    pub(super) fn write(
        &self,
        level: LogLevel,
        message: &[u8],
        now: impl FnOnce() -> SystemTime,
        dates: &mut Dates,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        self.header(level, now, dates, out);
        // HAProxy makes the message in a buffer of that length with a place for its end, whatever the header.
        let room = self.length.saturating_sub(out.len() - start).min(self.length.saturating_sub(1));
        out.extend_from_slice(&message[..message.len().min(room)]);
        out.push(b'\n');
    }

    /// As [`Frame::write`], and nothing is cut off.
    pub(super) fn write_whole(
        &self,
        level: LogLevel,
        message: &[u8],
        now: impl FnOnce() -> SystemTime,
        dates: &mut Dates,
        out: &mut Vec<u8>,
    ) {
        self.header(level, now, dates, out);
        out.extend_from_slice(message);
        out.push(b'\n');
    }

    /// The most bytes of a message of JSON.
    pub(super) fn json_room(&self) -> usize {
        // The longest header's date, level and version take no more.
        const DATE: usize = 48;
        self.json_length.saturating_sub(self.sender.len() + DATE)
    }

    fn header(
        &self,
        level: LogLevel,
        now: impl FnOnce() -> SystemTime,
        dates: &mut Dates,
        out: &mut Vec<u8>,
    ) {
        match self.format {
            LogFormat::Raw => {}
            LogFormat::Local | LogFormat::Rfc3164 => {
                bracketed(self.facility | level as u8, out);
                dates.syslog(now(), out);
            }
            LogFormat::Rfc5424 => {
                bracketed(self.facility | level as u8, out);
                out.extend_from_slice(b"1 ");
                dates.iso(now(), out);
            }
            LogFormat::Priority => bracketed(self.facility | level as u8, out),
            LogFormat::Short => bracketed(level as u8, out),
            LogFormat::Timed => {
                bracketed(level as u8, out);
                dates.iso(now(), out);
            }
            LogFormat::Iso => dates.iso(now(), out),
        }
        out.extend_from_slice(&self.sender);
    }
}

fn bracketed(number: u8, out: &mut Vec<u8>) {
    out.push(b'<');
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::config::model::LogDestination;

    fn framed(format: LogFormat, facility: u8, level: LogLevel, length: usize, message: &str) -> String {
        let target = LogTarget {
            destination: LogDestination::Stdout,
            format,
            facility,
            level: LogLevel::Debug,
            tag: "mytag".to_owned(),
            length: Some(length),
        };
        let mut out = b"before\n".to_vec();
        let now = || UNIX_EPOCH + Duration::from_micros(1_795_384_007_844_752);
        Frame::new(&target, "my.host", 13745).write(
            level,
            message.as_bytes(),
            now,
            &mut Dates::ahead_of_utc(-12_600),
            &mut out,
        );
        let text = String::from_utf8(out).expect("headers are ASCII");
        text.strip_prefix("before\n").expect("what was there stays").to_owned()
    }

    #[test]
    fn every_format_as_haproxy_emits_it() {
        let local = |format, facility| framed(format, facility, LogLevel::Info, 1024, "GET / HTTP/1.1");
        for (format, facility, expected) in [
            (LogFormat::Raw, 22, "GET / HTTP/1.1\n"),
            (LogFormat::Local, 16, "<134>Nov 22 18:16:47 mytag[13745]: GET / HTTP/1.1\n"),
            (LogFormat::Rfc3164, 17, "<142>Nov 22 18:16:47 my.host mytag[13745]: GET / HTTP/1.1\n"),
            (
                LogFormat::Rfc5424,
                18,
                "<150>1 2026-11-22T18:16:47.844752-03:30 my.host mytag 13745 - - GET / HTTP/1.1\n",
            ),
            (LogFormat::Short, 19, "<6>GET / HTTP/1.1\n"),
            (LogFormat::Priority, 20, "<166>GET / HTTP/1.1\n"),
            (LogFormat::Timed, 21, "<6>2026-11-22T18:16:47.844752-03:30 GET / HTTP/1.1\n"),
            (LogFormat::Iso, 22, "2026-11-22T18:16:47.844752-03:30 GET / HTTP/1.1\n"),
        ] {
            assert_eq!(local(format, facility), expected);
        }
    }

    #[test]
    fn the_priority_is_facility_and_level() {
        assert_eq!(framed(LogFormat::Priority, 17, LogLevel::Alert, 1024, "m"), "<137>m\n");
        assert_eq!(framed(LogFormat::Priority, 0, LogLevel::Emerg, 1024, "m"), "<0>m\n");
        assert_eq!(framed(LogFormat::Priority, 23, LogLevel::Debug, 1024, "m"), "<191>m\n");
        assert_eq!(framed(LogFormat::Short, 23, LogLevel::Err, 1024, "m"), "<3>m\n");
    }

    #[test]
    fn a_long_line_is_cut_and_still_ends() {
        let long = "x".repeat(2000);
        assert_eq!(framed(LogFormat::Priority, 20, LogLevel::Info, 1024, &long).len(), 1025);
        assert_eq!(framed(LogFormat::Raw, 20, LogLevel::Info, 1024, &long).len(), 1024);
        assert_eq!(framed(LogFormat::Rfc5424, 20, LogLevel::Info, 200, &long).len(), 201);
        // A header that alone is too long stays whole: half a header would be worse.
        assert!(framed(LogFormat::Rfc5424, 20, LogLevel::Info, 10, &long).ends_with(" - - \n"));
    }
}
