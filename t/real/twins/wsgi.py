# The application of ../streamlit/app.py for plain WSGI: who is there, a counter, links in and out. Of signing in it knows nothing;
# nginx tells it in request headers. It takes a free port, prints it as JSON, and ends when its standard input does.
import html
import json
import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

count = 0


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


def application(environ, start_response):
    global count

    def header(name):
        return html.escape(environ.get("HTTP_X_USER_" + name, "").encode("latin-1").decode())

    if header("NAME"):
        count += environ["REQUEST_METHOD"] == "POST"
        body = (
            f"<p>Hello, {header('NAME')}!</p><p>email={header('EMAIL')} groups={header('GROUPS')}</p>"
            f"<form method=post><button>Count</button></form><p>count={count}.</p><p><a href='{header('LOGOUT')}'>Log out</a></p>"
        )
    else:
        body = f"<p>Hello, stranger!</p><p><a href='{header('LOGIN')}'>Log in</a></p>"
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [f"<!doctype html><title>WSGI</title><link rel=icon href=data:,>{body}".encode()]


server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
print(json.dumps({"port": server.server_port}), flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
