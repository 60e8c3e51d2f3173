import flask, flask_limiter, librl.limits

app = flask.Flask(__name__)
limiter = flask_limiter.Limiter(flask_limiter.util.get_remote_address, app=app,
                                default_limits=["100/hour"], storage_uri="shm://web")
