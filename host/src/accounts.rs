//! Users and groups of the system, by name.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Room for an entry of the system's lists; a group of many members takes most.
const ENTRY_BYTES: usize = 1 << 16;

/// The number of a user.
///
/// # Errors
/// `NotFound` where there is none of this name.
pub(crate) fn user(name: &str) -> io::Result<u32> {
    let (c_name, mut buffer) = (CString::new(name)?, vec![0; ENTRY_BYTES]);
    let (mut entry, mut found) = (MaybeUninit::<libc::passwd>::uninit(), ptr::null_mut());
    // SAFETY: the name ends with a zero, and the entry and the buffer have the sizes that the call is told.
    let failed = unsafe {
        libc::getpwnam_r(
            c_name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    // SAFETY: where `found` is set it points to the entry, which is filled in then.
    let number = unsafe { found.as_ref() }.map(|entry| entry.pw_uid);
    outcome(number, failed, "user", name)
}

/// The number of a group.
///
/// # Errors
/// `NotFound` where there is none of this name.
pub(crate) fn group(name: &str) -> io::Result<u32> {
    let (c_name, mut buffer) = (CString::new(name)?, vec![0; ENTRY_BYTES]);
    let (mut entry, mut found) = (MaybeUninit::<libc::group>::uninit(), ptr::null_mut());
    // SAFETY: the name ends with a zero, and the entry and the buffer have the sizes that the call is told.
    let failed = unsafe {
        libc::getgrnam_r(
            c_name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    // SAFETY: where `found` is set it points to the entry, which is filled in then.
    let number = unsafe { found.as_ref() }.map(|entry| entry.gr_gid);
    outcome(number, failed, "group", name)
}

fn outcome(number: Option<u32>, failed: libc::c_int, kind: &str, name: &str) -> io::Result<u32> {
    // Lists that cannot be read are an error; some say so where a name is not in them.
    let missing = matches!(failed, 0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM);
    match number {
        Some(number) => Ok(number),
        None if missing => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no {kind} `{}`", name.escape_debug()),
        )),
        None => Err(io::Error::from_raw_os_error(failed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_0_and_nobody_has_a_name_that_cannot_be() {
        assert_eq!(user("root").unwrap(), 0);
        assert_eq!(group("root").unwrap(), 0);
        let error = user("no such user").unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (io::ErrorKind::NotFound, "there is no user `no such user`".into())
        );
        assert!(group("no such group").is_err() && user("a\0b").is_err());
    }
}
