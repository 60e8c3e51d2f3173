"""An application behind nginx: it charges its clients in the same segment, by the same policy and
with the same key, so what they do here and what they do there is one count.

gunicorn --workers 2 --group www-data --umask 007 --bind unix:/srv/web/app.sock app:app"""

import os

import librl
import librl.wsgi


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from the application\n"]


def client(environ):
    """Returns what nginx found: nobody but nginx's group reaches the socket."""
    return environ["HTTP_X_CLIENT"]


# nginx, which starts first, made the segment and put the limit into it.
api = librl.Segment.open(os.environ.get("RL_SEGMENT", "web")).limiter("api")
app = librl.wsgi.RateLimit(hello, api, key=client)
