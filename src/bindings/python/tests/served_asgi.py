"""A FastAPI application behind librl.asgi, in the segment of RL_TEST_SEGMENT."""

import os

import fastapi

import librl.asgi

app = fastapi.FastAPI()
client = librl.asgi.ClientAddress()
app.add_middleware(
    librl.asgi.RateLimit,
    limiter=librl.Segment(os.environ["RL_TEST_SEGMENT"]).limiter("api", "100/d"),
    key=lambda scope: None if scope.get("path") == "/health" else client(scope),
)


@app.get("/limited")
async def limited():
    return "hello"


@app.get("/health")
async def health():
    return "fine"
