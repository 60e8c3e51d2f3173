import fastapi, librl.asgi

app = fastapi.FastAPI()
limiter = librl.Segment("web").limiter("api", "100/s burst=200")
app.add_middleware(librl.asgi.RateLimit, limiter=limiter)
