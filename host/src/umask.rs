//! What the process lets others do with the files that it makes: nobody but their owner may write to them, whatever the
//! umask is that it was started with. Compiled code that others could change would be theirs to run.

use std::sync::LazyLock;

use rustix::fs::Mode;
use rustix::process::umask;

/// Others' and the group's permission to write.
const WRITABLE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);

static INHERITED: LazyLock<Mode> = LazyLock::new(|| {
    let inherited = umask(Mode::RWXG.union(Mode::RWXO));
    umask(inherited | WRITABLE_BY_OTHERS);
    inherited
});

/// From now on no file that is made without a mode of its own is writable by others. To be called before there are
/// threads that make any.
pub(crate) fn restrict() {
    LazyLock::force(&INHERITED);
}

/// The permissions that a Unix socket has where nobody says otherwise: those of the umask that the process was started
/// with, for who may write to a socket may connect to it.
pub(crate) fn socket_mode() -> Mode {
    (Mode::RWXU | Mode::RWXG | Mode::RWXO) - *INHERITED
}
