import librl

api = librl.Segment("web").limiter("api", "100/s burst=200")
if not (decision := api.try_acquire("user:42")):
    print("come back in", decision.retry_after, "s")
