import flask, librl.wsgi

app = flask.Flask(__name__)
limiter = librl.Segment("web").limiter("api", "100/s burst=200")
app.wsgi_app = librl.wsgi.RateLimit(app.wsgi_app, limiter)
