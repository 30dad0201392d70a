//! WASI 0.2, for policies whose language expects it, with nothing behind it: clocks and random numbers,
//! no arguments, no environment, no files, an empty standard input, and standard output and error in the
//! host's log. Whatever else WASI has is there by name and traps when called.
//!
//! Our own rather than wasmtime-wasi, because that blocks on a runtime of its own, and on a worker's thread
//! it must not. Nothing here blocks: a pollable is always ready, and so a policy that sleeps spins until
//! its time is up or its processor time is.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut};

use super::fault::HostRefusal;
use super::imports::Guest;
use super::voice::Level;

/// The most random bytes of one call.
const RANDOM_BYTES: u64 = 64 * 1024;
/// What an output stream takes at once; it is always ready for more.
const WRITE_BYTES: u64 = 64 * 1024;

/// Gives `import`, an interface of WASI, what the sandbox has of it.
pub(super) fn define(
    linker: &mut Linker<Guest>,
    engine: &Engine,
    import: &str,
    interface: &ComponentInstance,
) -> Result<()> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let supported = version.starts_with("0.2.");
    let mut instance = linker.instance(import)?;
    for (item, kind) in interface.exports(engine) {
        match kind.ty {
            ComponentItem::ComponentFunc(_) => {
                let offered = supported && function(&mut instance, name, item)?;
                if !offered {
                    refuse(&mut instance, import, item)?;
                }
            }
            ComponentItem::Resource(_) => instance.resource(item, resource(item), |_, _| Ok(()))?,
            _ => {}
        }
    }
    Ok(())
}

fn refuse(instance: &mut LinkerInstance<'_, Guest>, import: &str, item: &str) -> Result<()> {
    let message = format!("called {import}#{item}, which a policy cannot have");
    instance.func_new(item, move |_, _, _, _| Err(wasmtime::Error::new(HostRefusal(message.clone()))))
}

struct InputStream;
/// Its representation says which: 2 is standard error.
struct OutputStream;
struct Pollable;
struct IoError;
struct TerminalInput;
struct TerminalOutput;
struct Descriptor;
/// Any resource that nobody can get hold of.
struct Absent;

fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<IoError>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        _ => ResourceType::host::<Absent>(),
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Io<T> = std::result::Result<T, StreamError>;
type Store<'a> = StoreContextMut<'a, Guest>;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Defines a function of an interface; says whether the sandbox has it.
fn function(instance: &mut LinkerInstance<'_, Guest>, interface: &str, item: &str) -> Result<bool> {
    match interface {
        "wasi:clocks/wall-clock" | "wasi:clocks/monotonic-clock" => clock(instance, interface, item),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => random(instance, item),
        "wasi:io/streams" => stream(instance, item),
        "wasi:io/poll" => poll(instance, item),
        "wasi:io/error" | "wasi:filesystem/preopens" => surroundings(instance, item),
        _ if interface.starts_with("wasi:cli/") => surroundings(instance, item),
        _ => Ok(false),
    }
}

fn clock(instance: &mut LinkerInstance<'_, Guest>, interface: &str, item: &str) -> Result<bool> {
    let pollable = |_: Store<'_>, _: (u64,)| Ok((Resource::<Pollable>::new_own(0),));
    match (interface, item) {
        ("wasi:clocks/wall-clock", "now") => instance.func_wrap(item, |store: Store<'_>, (): ()| {
            let now = match &store.data().simulated {
                Some(surroundings) => Duration::from_nanos(surroundings.time_ns),
                None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            };
            Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
        })?,
        ("wasi:clocks/wall-clock", "resolution") => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))?
        }
        (_, "now") => {
            instance.func_wrap(item, |store: Store<'_>, (): ()| {
                Ok((match &store.data().simulated {
                    Some(surroundings) => surroundings.time_ns,
                    None => START.elapsed().as_nanos() as u64,
                },))
            })?;
        }
        (_, "resolution") => instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((1u64,)))?,
        (_, "subscribe-instant" | "subscribe-duration") => instance.func_wrap(item, pollable)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn random(instance: &mut LinkerInstance<'_, Guest>, item: &str) -> Result<bool> {
    match item {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            instance.func_wrap(item, |mut store: Store<'_>, (length,): (u64,)| {
                if length > RANDOM_BYTES {
                    let message =
                        format!("asked for {length} random bytes; {RANDOM_BYTES} at once is the most");
                    return Err(wasmtime::Error::new(HostRefusal(message)));
                }
                let mut bytes = vec![0; length as usize];
                fill(store.data_mut(), &mut bytes)?;
                Ok((bytes,))
            })?;
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            instance.func_wrap(item, |mut store: Store<'_>, (): ()| Ok((random_u64(store.data_mut())?,)))?;
        }
        "insecure-seed" => instance.func_wrap(item, |mut store: Store<'_>, (): ()| {
            let guest = store.data_mut();
            Ok(((random_u64(guest)?, random_u64(guest)?),))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn random_u64(guest: &mut Guest) -> Result<u64> {
    let mut bytes = [0; 8];
    fill(guest, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Fills `bytes` from the kernel, which once it has booted never lets anyone wait for it; in a simulation, from
/// its seed.
fn fill(guest: &mut Guest, bytes: &mut [u8]) -> Result<()> {
    if let Some(surroundings) = &mut guest.simulated {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&surroundings.random.bits().to_le_bytes()[..chunk.len()]);
        }
        return Ok(());
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = &mut bytes[at..];
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(got) => at += got,
            Err(Errno::INTR) => {}
            Err(_) => return Err(wasmtime::Error::new(HostRefusal("could not get random bytes".into()))),
        }
    }
    Ok(())
}

fn poll(instance: &mut LinkerInstance<'_, Guest>, item: &str) -> Result<bool> {
    match item {
        "poll" => instance.func_wrap(item, |_: Store<'_>, (all,): (Vec<Resource<Pollable>>,)| {
            Ok(((0..all.len() as u32).collect::<Vec<u32>>(),))
        })?,
        "[method]pollable.ready" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<Pollable>,)| Ok((true,)))?;
        }
        "[method]pollable.block" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<Pollable>,)| Ok(()))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn stream(instance: &mut LinkerInstance<'_, Guest>, item: &str) -> Result<bool> {
    match item {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<InputStream>, u64)| {
                Ok((Io::<Vec<u8>>::Err(StreamError::Closed),))
            })?;
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<InputStream>, u64)| {
                Ok((Io::<u64>::Err(StreamError::Closed),))
            })?;
        }
        "[method]input-stream.subscribe" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<InputStream>,)| {
                Ok((Resource::<Pollable>::new_own(0),))
            })?;
        }
        "[method]output-stream.subscribe" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<OutputStream>,)| {
                Ok((Resource::<Pollable>::new_own(0),))
            })?;
        }
        "[method]output-stream.check-write" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<OutputStream>,)| {
                Ok((Io::<u64>::Ok(WRITE_BYTES),))
            })?;
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            instance.func_wrap(
                item,
                |store: Store<'_>, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
                    say(store.data(), &stream, &bytes);
                    Ok((Io::Ok(()),))
                },
            )?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<OutputStream>,)| Ok((Io::Ok(()),)))?;
        }
        "[method]output-stream.write-zeroes" | "[method]output-stream.blocking-write-zeroes-and-flush" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<OutputStream>, u64)| Ok((Io::Ok(()),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What a policy prints becomes lines of the log, one a write and line.
fn say(guest: &Guest, stream: &Resource<OutputStream>, bytes: &[u8]) {
    let level = if stream.rep() == 2 { Level::Warn } else { Level::Info };
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        guest.voice.say(level, &String::from_utf8_lossy(line));
    }
}

fn surroundings(instance: &mut LinkerInstance<'_, Guest>, item: &str) -> Result<bool> {
    match item {
        "get-environment" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?
        }
        "get-arguments" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
        }
        "initial-cwd" => instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((None::<String>,)))?,
        "exit" => {
            instance.func_wrap(item, |_: Store<'_>, _: (std::result::Result<(), ()>,)| -> Result<()> {
                Err(wasmtime::Error::new(HostRefusal("left by wasi:cli/exit".into())))
            })?
        }
        "get-stdin" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((Resource::<InputStream>::new_own(0),)))?
        }
        "get-stdout" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((Resource::<OutputStream>::new_own(1),)))?
        }
        "get-stderr" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((Resource::<OutputStream>::new_own(2),)))?
        }
        "get-terminal-stdin" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((None::<Resource<TerminalInput>>,)))?
        }
        "get-terminal-stdout" | "get-terminal-stderr" => {
            instance.func_wrap(item, |_: Store<'_>, (): ()| Ok((None::<Resource<TerminalOutput>>,)))?
        }
        "get-directories" => instance
            .func_wrap(item, |_: Store<'_>, (): ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))?,
        "[method]error.to-debug-string" => {
            instance.func_wrap(item, |_: Store<'_>, _: (Resource<IoError>,)| Ok((String::new(),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
