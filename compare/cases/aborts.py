"""Clients that leave early, or close one half only."""

import time

from configurations import CONNECT_HANGS_ABORT, LOG_NULL, SHORT
from twin.suite import case, get, ok, then_silence


@case("connects-and-closes", SHORT, logs=0)
def connects_and_closes(world):
    world.client().close()
    time.sleep(0.05)


@case("connects-and-resets", SHORT, logs=0)
def connects_and_resets(world):
    world.client().reset()
    time.sleep(0.05)


@case("connects-and-closes-logged", LOG_NULL)
def connects_and_closes_logged(world):
    world.client().close()


@case("client-silent-logged", LOG_NULL)
def client_silent_logged(world):
    world.client().raw_to_end()


@case("sends-empty-lines-and-closes", SHORT, logs=0)
def sends_empty_lines_and_closes(world):
    client = world.client()
    client.send(b"\r\n\r\n")
    time.sleep(0.05)
    client.close()
    time.sleep(0.05)


@case("closes-in-request-line", SHORT)
def closes_in_request_line(world):
    client = world.client()
    client.send_last(b"GET / HT")
    client.raw_to_end()


@case("closes-in-request-headers", SHORT)
def closes_in_request_headers(world):
    client = world.client()
    client.send_last(b"GET / HTTP/1.1\r\nHost: example.test\r\n")
    client.raw_to_end()


@case("resets-in-request-headers", SHORT)
def resets_in_request_headers(world):
    client = world.client()
    client.send(b"GET / HTTP/1.1\r\nHost: example.test\r\n")
    time.sleep(0.05)
    client.reset()


def slow_answer(connection, _request):
    connection.read_request_body(expected=False)
    time.sleep(0.15)
    connection.send(ok())
    return True


@case("half-closes-after-request", SHORT)
def half_closes_after_request(world):
    world.always(slow_answer)
    client = world.client()
    client.send_last(get())
    client.response()
    client.end(1.0)


@case("half-closes-after-post", SHORT)
def half_closes_after_post(world):
    world.always(slow_answer)
    client = world.client()
    client.send_last(get("/", "Content-Length: 5", method="POST", body=b"hello"))
    client.response("POST")
    client.end(1.0)


# With both requests and the end in one segment HAProxy itself serves now one, now both: not a case.
@case("half-closes-later-after-pipelined", SHORT, logs=2)
def half_closes_later_after_pipelined(world):
    world.always(slow_answer)
    client = world.client()
    client.send(get("/1") + get("/2"))
    time.sleep(0.05)
    client.half_close()
    client.response()
    client.response()
    client.end(1.0)


@case("half-closes-later", SHORT)
def half_closes_later(world):
    world.always(slow_answer)
    client = world.client()
    client.send(get())
    time.sleep(0.05)
    client.half_close()
    client.response()
    client.end(1.0)


@case("resets-while-server-thinks", SHORT)
def resets_while_server_thinks(world):
    world.always(then_silence())
    client = world.client()
    client.send(get())
    world.seen(1)
    time.sleep(0.05)
    client.reset()


@case("half-closes-while-connecting", CONNECT_HANGS_ABORT)
def half_closes_while_connecting(world):
    client = world.client()
    client.send(get())
    time.sleep(0.3)
    client.half_close()
    client.end(1.0)


@case("resets-while-connecting", CONNECT_HANGS_ABORT)
def resets_while_connecting(world):
    client = world.client()
    client.send(get())
    time.sleep(0.3)
    client.reset()


@case("closes-while-server-thinks", SHORT)
def closes_while_server_thinks(world):
    world.always(slow_answer)
    client = world.client()
    client.send(get())
    world.seen(1)
    time.sleep(0.05)
    client.close()


@case("closes-while-server-is-silent", SHORT)
def closes_while_server_is_silent(world):
    world.always(then_silence())
    client = world.client()
    client.send(get())
    world.seen(1)
    time.sleep(0.05)
    client.close()


@case("closes-in-upload", SHORT)
def closes_in_upload(world):
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"half."))
    world.seen(1)
    time.sleep(0.05)
    client.close()


@case("half-closes-in-upload", SHORT)
def half_closes_in_upload(world):
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"half."))
    world.seen(1)
    time.sleep(0.05)
    client.half_close()
    client.response("POST")
    client.end(1.0)


@case("closes-in-chunked-upload", SHORT)
def closes_in_chunked_upload(world):
    client = world.client()
    client.send(get("/", "Transfer-Encoding: chunked", method="POST", body=b"5\r\nhello\r\n"))
    world.seen(1)
    time.sleep(0.05)
    client.close()


@case("resets-in-upload", SHORT)
def resets_in_upload(world):
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"half."))
    world.seen(1)
    time.sleep(0.05)
    client.reset()


def endless_answer(connection, _request):
    connection.send(ok("Content-Length: 500000000", length=False, body=b""))
    try:
        for _ in range(1000):
            connection.send(b"x" * 100_000)
    except OSError:
        connection.origin.record.add("origin sending", "broken off by the proxy")
    return False


@case("resets-in-download", SHORT, uncompared=("bytes",))
def resets_in_download(world):
    world.always(endless_answer)
    client = world.client()
    client.send(get())
    client.record.add_head("client response 1", client.head())
    client.exactly(100_000)
    client.reset()


@case("closes-in-download", SHORT, uncompared=("bytes",))
def closes_in_download(world):
    world.always(endless_answer)
    client = world.client()
    client.send(get())
    client.record.add_head("client response 1", client.head())
    client.exactly(100_000)
    client.close()


@case("half-closes-in-download", SHORT)
def half_closes_in_download(world):
    def script(connection, _request):
        connection.send(ok("Content-Length: 6", length=False, body=b"abc"))
        time.sleep(0.15)
        connection.send(b"def")
        return True

    world.always(script)
    client = world.client()
    client.send(get())
    client.record.add_head("client response 1", client.head())
    client.half_close()
    client.record.add("client body", client.exactly(6))
    client.end(1.0)


@case("closes-idle-kept-connection", SHORT)
def closes_idle_kept_connection(world):
    client = world.client()
    client.request(get())
    client.close()
    time.sleep(0.05)
