;; first: the first candidate, and on a retry the first that is not the one that failed: a main server, and those
;; behind it only in need. In the order of the configuration.
;;
;; A core module, taken by lb at the names of its exports. Values cross as the component model's canonical ABI has it:
;; scalars as parameters; lists and strings as address and length, in memory that the host asks `cabi_realloc` for;
;; a result of more than one scalar at the address that the function answers. Fields lie at their natural alignment.
(module
  (memory (export "memory") 1)
  (data (i32.const 0x10) "first")
  (data (i32.const 0x50) "0.1.0")
  (data (i32.const 0x20) "the first server that has not failed")

  ;; 0x80: the answer of describe: name, version, summary, and an empty list of settings.
  (data (i32.const 0x80)
    "\10\00\00\00" "\05\00\00\00"
    "\50\00\00\00" "\05\00\00\00"
    "\20\00\00\00" "\24\00\00\00"
    "\00\00\00\00" "\00\00\00\00")
  ;; 0xa0: the answer of configure: a result that is no error.
  ;; 0xc0: the answer of pick: an option, its flag at 0 and its number at 4.

  ;; What the host hands over lies from here on, and is forgotten at the end of each call.
  (global $heap i32 (i32.const 0x1000))
  (global $free (mut i32) (i32.const 0x1000))
  (global $count (mut i32) (i32.const 0))

  (func (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $at i32) (local $end i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.eq (i32.const -1)
              (memory.grow
                (i32.add (i32.const 1)
                  (i32.shr_u (i32.add (local.get $size) (local.get $align)) (i32.const 16)))))
          (then unreachable))))
    (global.set $free (local.get $end))
    (local.get $at))

  (func (export "lb:policy/setup@0.1.0#describe") (result i32)
    (i32.const 0x80))

  (func (export "lb:policy/setup@0.1.0#configure")
    (param $settings i32) (param $settings-length i32) (param $servers i32) (param $servers-length i32) (result i32)
    (global.set $free (global.get $heap))
    (i32.const 0xa0))

  ;; Only how many there are matters here; each is a server's index and its weight, 8 bytes.
  (func (export "lb:policy/balancer@0.1.0#update") (param $candidates i32) (param $length i32)
    (global.set $count (local.get $length))
    (global.set $free (global.get $heap)))

  ;; The arrival: sequence, time, the client's address (4 or 6, then up to eight numbers), what failed (a flag, then
  ;; a candidate's index).
  (func (export "lb:policy/balancer@0.1.0#pick")
    (param $sequence i64) (param $time-ms i64)
    (param $family i32) (param i32 i32 i32 i32 i32 i32 i32 i32)
    (param $is-retry i32) (param $failed i32)
    (result i32)
    (i32.store8 (i32.const 0xc0) (i32.const 1))
    (i32.store (i32.const 0xc4)
      (i32.and
        (i32.and (local.get $is-retry) (i32.eqz (local.get $failed)))
        (i32.gt_u (global.get $count) (i32.const 1))))
    (i32.const 0xc0)))
