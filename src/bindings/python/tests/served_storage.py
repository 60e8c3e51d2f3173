"""An application whose limits flask-limiter keeps, in the segment of RL_TEST_SEGMENT."""

import os

import flask
import flask_limiter
import flask_limiter.util

import librl.limits

app = flask.Flask(__name__)
limiter = flask_limiter.Limiter(
    flask_limiter.util.get_remote_address,
    app=app,
    default_limits=["100 per year"],
    strategy=os.environ["RL_TEST_STRATEGY"],
    storage_uri=f"shm://{os.environ['RL_TEST_SEGMENT']}",
    headers_enabled=True,
)


@app.get("/limited")
def limited():
    return "hello"


@app.get("/health")
@limiter.exempt
def health():
    return "fine"
