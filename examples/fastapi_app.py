"""A FastAPI application: endpoints described by types, and a page of documentation made from them.

    miniasgi examples.fastapi_app:app

Then open http://127.0.0.1:8000/docs. Needs fastapi.
"""

# No "from __future__ import annotations": FastAPI reads the types while the functions are defined.

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

PRICES = {"pen": 1.5, "book": 12.0}

app = FastAPI(title="A small shop", version="1.0")


class Order(BaseModel):
    """What somebody wants to buy."""

    item: str
    count: int = Field(gt=0, description="How many.")


class Receipt(BaseModel):
    """What it costs."""

    item: str
    total: float


@app.get("/items/{name}")
async def price(name: str) -> dict[str, float]:
    """The price of one item."""
    if name not in PRICES:
        raise HTTPException(404, f"there is no {name} here")
    return {"price": PRICES[name]}


@app.post("/orders", status_code=201)
async def order(wanted: Order) -> Receipt:
    """Order something; a count below one is answered 422."""
    if wanted.item not in PRICES:
        raise HTTPException(404, f"there is no {wanted.item} here")
    return Receipt(item=wanted.item, total=PRICES[wanted.item] * wanted.count)
