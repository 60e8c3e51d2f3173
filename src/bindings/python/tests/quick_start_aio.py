import asyncio, librl.aio

api = librl.Segment("web").limiter("api", "100/s burst=200")
if asyncio.run(librl.aio.acquire(api, "user:42", timeout=5)):
    print("its turn has come")
