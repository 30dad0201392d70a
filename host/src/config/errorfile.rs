//! `errorfile`: which files; what is in them is looked at when the configuration is checked as a whole.

use std::ops::RangeInclusive;

use super::model::pages::ErrorFile;
use super::section::{Complaint, Value};

/// The statuses that have pages.
const STATUSES: RangeInclusive<u16> = 400..=599;

/// The files of one section.
pub(super) fn read(value: Value<'_>) -> Option<Vec<ErrorFile>> {
    let mut files = Vec::new();
    for (name, span, value) in value.named()? {
        let Some(status) = name.parse().ok().filter(|status| STATUSES.contains(status)) else {
            let complaint = Complaint::new(
                format!("`{}` is no status that has a page", name.escape_debug()),
                "there are pages for 400 to 599, the statuses of failures and of rules that deny",
            );
            let problem = super::diagnostics::Problem::error(span, complaint.message).help(complaint.help);
            value.reading.report(problem);
            continue;
        };
        let path = value.text().map(|path| value.reading.path(path));
        files.extend(path.map(|path| ErrorFile { status, path, span: value.span() }));
    }
    Some(files)
}

/// These, and those of `below` for the statuses that these do not have.
pub(super) fn over(mut own: Vec<ErrorFile>, below: &[ErrorFile]) -> Vec<ErrorFile> {
    let more: Vec<_> =
        below.iter().filter(|file| own.iter().all(|own| own.status != file.status)).cloned().collect();
    own.extend(more);
    own
}
