#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| lb_host::fuzzing::target("authority").run(input));
