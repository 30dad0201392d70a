"""The server behind each proxy: a WSGI application that notes every request it is given, one line of JSON each."""

import json
import os

NOTES = os.open(os.environ["LB_SPLITS_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    headers = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    note = {
        "method": environ["REQUEST_METHOD"],
        "target": environ["RAW_URI"],
        "host": environ.get("HTTP_HOST"),
        "body": body.decode("latin-1"),
        "headers": headers,
        "case": environ.get("HTTP_X_CASE"),
    }
    os.write(NOTES, json.dumps(note).encode() + b"\n")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
