"""A small Flask application, to be started more than once: `python app.py NAME HOST PORT DATABASE`.

    /          a page from the database, and which server made it
    /headers   the request's headers, as they arrived
    /status    200 where a page could be served, else 503: what the load balancer's health check asks
"""

import contextlib
import sqlite3
import sys
from pathlib import Path

import waitress
from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix


def create(name: str, database: Path) -> Flask:
    app = Flask(name)
    # Requests come by one load balancer, which says in x-forwarded-for whom it serves: that is remote_addr.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=0, x_host=0)

    def page() -> str:
        # "rw" opens what is there and creates nothing: a lost database is an error, not an empty one.
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True)) as connection:
            return connection.execute("SELECT text FROM pages WHERE path = '/'").fetchone()[0]

    @app.get("/")
    def index() -> Response:
        response = Response(f"{name}: {page()}, {request.remote_addr}\n", mimetype="text/plain")
        response.add_etag()
        return response.make_conditional(request)

    @app.get("/headers")
    def headers() -> Response:
        lines = "".join(f"{key}: {value}\n" for key, value in request.headers)
        return Response(lines, mimetype="text/plain")

    @app.get("/status")
    def status() -> Response:
        try:
            page()
        except sqlite3.Error as error:
            app.logger.error("%s cannot serve: %s", name, error)
            return Response(f"{name} cannot serve: {error}\n", status=503, mimetype="text/plain")
        return Response(f"{name} is fine\n", mimetype="text/plain")

    return app


def prepare(database: Path) -> None:
    database.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS pages (path TEXT PRIMARY KEY, text TEXT NOT NULL)")
        connection.execute("INSERT OR IGNORE INTO pages VALUES ('/', 'good day')")


if __name__ == "__main__":
    name, host, port, database = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    prepare(database)
    # By itself Waitress takes x-forwarded-for away; here only the load balancer reaches this port.
    waitress.serve(create(name, database), host=host, port=port, clear_untrusted_proxy_headers=False)
