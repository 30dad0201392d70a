;; WASI's first version, for core modules of languages that know no other, with nothing behind it: no arguments, no
;; environment, no files; what goes to standard output and error is logged. No function but fd_write calls the
;; host, because a language may ask for the time or for random bytes while the host has it allocate memory, when no
;; call out is allowed. So the clock is a count of its readings, and random bytes are the same in each instance:
;; a policy's time is that of the arrival.
(module
  (import "lb:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))
  (import "env" "memory" (memory 0))
  (global $now (mut i64) (i64.const 1000000000))
  (global $random (mut i64) (i64.const 0x5851f42d4c957f2d))

  (func $tick (result i64)
    (global.set $now (i64.add (global.get $now) (i64.const 1000)))
    (global.get $now))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $at i32) (result i32)
    (i64.store (local.get $at) (call $tick))
    (i32.const 0))
  (func (export "clock_res_get") (param $clock i32) (param $at i32) (result i32)
    (i64.store (local.get $at) (i64.const 1000))
    (i32.const 0))

  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
        (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
        (i64.store8 (local.get $at) (i64.shr_u (global.get $random) (i64.const 32)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; Each piece becomes a line of the log, standard error's a warning; line ends alone do not.
  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $length i32) (local $sum i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $length (i32.load offset=4 (local.get $pieces)))
        (if (i32.gt_u (local.get $length) (i32.const 1))
          (then (call $log (local.get $fd) (i32.load (local.get $pieces)) (local.get $length))))
        (local.set $sum (i32.add (local.get $sum) (local.get $length)))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; The first event waited for has come.
  (func (export "poll_oneoff") (param $waits i32) (param $events i32) (param $count i32) (param $came i32) (result i32)
    (i64.store (local.get $events) (i64.load (local.get $waits)))
    (i64.store offset=8 (local.get $events) (i64.const 0))
    (i64.store offset=16 (local.get $events) (i64.const 0))
    (i64.store offset=24 (local.get $events) (i64.const 0))
    (i32.store8 offset=10 (local.get $events) (i32.load8_u offset=8 (local.get $waits)))
    (i32.store (local.get $came) (i32.const 1))
    (i32.const 0))

  ;; No arguments, no environment.
  (func (export "args_sizes_get") (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) unreachable)

  ;; All else is refused: no such descriptor.
  (func (export "fd_close") (export "fd_datasync") (export "fd_sync") (export "proc_raise") (param i32) (result i32)
    (i32.const 8))
  (func (export "fd_fdstat_get") (export "fd_fdstat_set_flags") (export "fd_filestat_get") (export "fd_prestat_get")
    (export "fd_renumber") (export "fd_tell") (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (export "path_create_directory") (export "path_remove_directory")
    (export "path_unlink_file") (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_advise") (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (export "fd_pwrite") (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32)
    (i32.const 8))
  (func (export "path_filestat_get") (export "path_symlink") (export "sock_send") (param i32 i32 i32 i32 i32)
    (result i32) (i32.const 8))
  (func (export "path_readlink") (export "path_rename") (export "sock_recv") (param i32 i32 i32 i32 i32 i32)
    (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8)))
