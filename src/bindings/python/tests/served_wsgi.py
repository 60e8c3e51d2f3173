"""A Flask application behind librl.wsgi, in the segment of RL_TEST_SEGMENT."""

import os

import flask

import librl.wsgi

app = flask.Flask(__name__)
app.add_url_rule("/limited", view_func=lambda: "hello", endpoint="limited")
app.add_url_rule("/health", view_func=lambda: "fine", endpoint="health")

client = librl.wsgi.ClientAddress()
app.wsgi_app = librl.wsgi.RateLimit(
    app.wsgi_app,
    librl.Segment(os.environ["RL_TEST_SEGMENT"]).limiter("api", "100/d"),
    key=lambda environ: None if environ["PATH_INFO"] == "/health" else client(environ),
)
