"""A small FastAPI application, for the memory that a usual one takes; apart, because FastAPI may be missing."""

import os

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from .apps import HELLO, PROCESS_TARGET

app = FastAPI()


class Order(BaseModel):
    """What is ordered, and how often."""

    article: str
    count: int = 1


@app.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    """Answer as the other applications do."""
    return HELLO.decode()


@app.get(PROCESS_TARGET, response_class=PlainTextResponse)
async def process_number() -> str:
    """Answer the number of the process that answers."""
    return str(os.getpid())


@app.post("/orders")
async def take(order: Order) -> Order:
    """Answer what was ordered: there for the validation that a usual application has."""
    return order
