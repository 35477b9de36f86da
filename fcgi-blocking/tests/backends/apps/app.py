"""For flup: `app.py SOCKET`."""

import sys

from flup.server.fcgi import WSGIServer


def answer(environ, start_response):
    path, _, _ = environ.get("REQUEST_URI", "").partition("?")
    _, word, argument, *_ = path.split("/") + ["", ""]
    status, headers = "200 OK", [("Content-Type", "text/plain")]
    body = [b"ok"]
    if word == "env":
        pairs = [f"{name}={value}\n" for name, value in environ.items() if isinstance(value, str)]
        body = ["".join(pairs).encode("latin-1")]
    elif word == "echo":
        headers = [("Content-Type", environ["CONTENT_TYPE"])]
        body = iter(lambda: environ["wsgi.input"].read(65536), b"")
    elif word == "bytes":
        whole, rest = divmod(int(argument), 65536)
        body = (b"x" * size for size in [65536] * whole + [rest])
    elif word == "cookies":
        headers += [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    elif word == "status":
        status = f"{argument} Status"
    elif word == "stderr":
        environ["wsgi.errors"].write(argument + "\n")
    start_response(status, headers)
    return body


WSGIServer(answer, bindAddress=sys.argv[1], debug=False).run()
