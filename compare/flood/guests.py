"""Hostile balancing policies, made on the spot: core modules of a few bytes, each with another body of `pick`."""

I32, I64 = 0x7F, 0x7E
END, UNREACHABLE, LOOP, VOID, BRANCH, BRANCH_IF, CALL = 0x0B, 0x00, 0x03, 0x40, 0x0C, 0x0D, 0x10
LOCAL_GET, GLOBAL_GET, GLOBAL_SET, CONST, ADD, AND, NOT_EQUAL, GROW = 0x20, 0x23, 0x24, 0x41, 0x6A, 0x71, 0x47, 0x40
CONST_64, LESS_64, IF, RETURN = 0x42, 0x54, 0x04, 0x0F
FUNCTION, MEMORY, PAGES = 0, 2, 16
# Where answers lie, and where what the host hands over begins.
DESCRIPTION, TEXT, CONFIGURED, PICKED, HEAP = 0x80, 0x10, 0xA0, 0xC0, 0x1000
PICK = 4


def unsigned(number):
    out = b""
    while number >= 0x80:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def signed(number):
    out = b""
    while not -64 <= number < 64:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number & 0x7F])


def constant(number):
    return bytes([CONST]) + signed(number)


def vector(items):
    return unsigned(len(items)) + b"".join(items)


def section(number, content):
    return bytes([number]) + unsigned(len(content)) + content


def name(text):
    return unsigned(len(text)) + text.encode()


def function_type(parameters, results):
    return b"\x60" + vector([bytes([each]) for each in parameters]) + vector([bytes([each]) for each in results])


def code(body, locals_=b"\0"):
    body = locals_ + body + bytes([END])
    return unsigned(len(body)) + body


def data(at, content):
    return b"\0" + constant(at) + bytes([END]) + unsigned(len(content)) + content


def words(*numbers):
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def component(pick):
    """The module whose `pick` is this."""
    types = [
        function_type([I32] * 4, [I32]),
        function_type([], [I32]),
        function_type([I32] * 2, []),
        function_type([I64] * 2 + [I32] * 11, [I32]),
    ]
    # The end of what was handed out, by eights; then the beginning of what is handed out now.
    allocate = bytes([GLOBAL_GET, 0, GLOBAL_GET, 0, LOCAL_GET, 3, ADD]) + constant(7) + bytes([ADD]) + constant(-8)
    allocate += bytes([AND, GLOBAL_SET, 0])
    functions = [
        ("cabi_realloc", 0, allocate),
        ("lb:policy/setup@0.1.0#describe", 1, constant(DESCRIPTION)),
        ("lb:policy/setup@0.1.0#configure", 0, constant(CONFIGURED)),
        ("lb:policy/balancer@0.1.0#update", 2, constant(HEAP) + bytes([GLOBAL_SET, 0])),
        ("lb:policy/balancer@0.1.0#pick", 3, pick),
    ]
    exports = [name("memory") + bytes([MEMORY, 0])]
    exports += [name(each) + bytes([FUNCTION, index]) for index, (each, _, _) in enumerate(functions)]
    texts = [
        data(TEXT, b"hostile1"),
        data(DESCRIPTION, words(TEXT, 7, TEXT + 7, 1, TEXT, 7, 0, 0)),
        data(PICKED, words(1, 0)),
    ]
    return b"\0asm\1\0\0\0" + b"".join(
        section(number, vector(items))
        for number, items in (
            (1, types),
            (3, [unsigned(kind) for _, kind, _ in functions]),
            (5, [b"\0" + unsigned(PAGES)]),
            (6, [bytes([I32, 1]) + constant(HEAP) + bytes([END])]),
            (7, exports),
            (10, [code(body) for _, _, body in functions]),
            (11, texts),
        )
    )


# Those who fail at once do not get past the trial at the start.
HARMLESS_PICKS = 100
FIRST = constant(PICKED)
AT_FIRST = (
    bytes([LOCAL_GET, 0, CONST_64]) + signed(HARMLESS_PICKS) + bytes([LESS_64, IF, VOID]) + FIRST + bytes([RETURN, END])
)
SPIN = bytes([LOOP, VOID, BRANCH, 0, END, UNREACHABLE])
GROW_BY_A_MEGABYTE = constant(16) + bytes([GROW, 0]) + constant(-1) + bytes([NOT_EQUAL, BRANCH_IF, 0])
ALL = {
    "guest-first": component(FIRST),
    "guest-trap": component(AT_FIRST + bytes([UNREACHABLE])),
    "guest-spin": component(AT_FIRST + SPIN),
    "guest-grow": component(AT_FIRST + bytes([LOOP, VOID]) + GROW_BY_A_MEGABYTE + bytes([END, UNREACHABLE])),
    "guest-recurse": component(AT_FIRST + b"".join(bytes([LOCAL_GET, each]) for each in range(13)) + bytes([CALL, PICK])),
}
