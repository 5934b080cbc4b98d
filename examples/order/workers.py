"""The services an order needs, as task functions: `asl worker examples/order/workers.py`.

Nothing is really charged or shipped: what an order says decides what happens, so that every way through the workflow
can be driven from its input.

    "card"          "ok", "declined", "flaky:2" (the network is busy for the first two attempts), "broken" (a bug)
    "lines"         [{"sku": …, "quantity": …, "price_cents": …}]; sku "unobtainium" is out of stock,
                    sku "fragile" finds the carrier busy at the first attempt
    "delay_ms"      how long charging takes
    "hold_seconds"  how long the order is held before it is shipped

With ORDER_LEDGER=FILE every call leaves one line of JSON there: its token and its arguments.
"""

from __future__ import annotations

import asyncio
import os

from processor.apps.worker import TaskContext, TaskError, Worker
from processor.model.json import Json, json_bytes

worker = Worker("orders")


class CardNetworkBusy(Exception):
    """Worth trying again: the workflow's Retry names it."""


@worker.task("validate")
def validate(order: dict[str, Json], context: TaskContext) -> Json:
    """Check what was ordered and add it up."""
    note(context, order)
    for name in ("order_id", "customer", "card"):
        if not isinstance(order.get(name), str):
            raise TaskError("InvalidOrder", f"an order needs {name}, a text")
    lines = _dicts(order.get("lines"))
    if not lines:
        raise TaskError("InvalidOrder", "an order needs lines")
    if not all(isinstance(line.get("sku"), str) and _whole(line.get("quantity"), "quantity") > 0 for line in lines):
        raise TaskError("InvalidOrder", "every line needs a sku and a quantity above 0")
    return {
        "total_cents": sum(
            _whole(line["quantity"], "quantity") * _whole(line.get("price_cents"), "price_cents") for line in lines
        ),
        "line_count": len(lines),
        "hold_seconds": _whole(order.get("hold_seconds", 1), "hold_seconds"),
        "delay_ms": _whole(order.get("delay_ms", 0), "delay_ms"),
    }


@worker.task("charge")
async def charge(payment: dict[str, Json], context: TaskContext) -> Json:
    """Take the money; the token is the idempotency key that a real payment service would be given."""
    note(context, payment)
    await asyncio.sleep(_whole(payment["delay_ms"], "delay_ms") / 1000)
    card, _, times = str(payment["card"]).partition(":")
    match card:
        case "declined":
            raise TaskError("CardDeclined", "the bank declined the card")
        case "flaky" if context.attempt < int(times or 1):
            raise CardNetworkBusy(f"attempt {context.attempt}")
        case "broken":
            raise RuntimeError("no such card network")
    return {"charged": True, "payment_id": f"pay-{payment['order_id']}", "amount_cents": payment["amount_cents"]}


@worker.task("reserve")
def reserve(wanted: dict[str, Json], context: TaskContext) -> Json:
    """Set the goods aside."""
    note(context, wanted)
    missing = [line["sku"] for line in _dicts(wanted["lines"]) if line["sku"] == "unobtainium"]
    if missing:
        raise TaskError("OutOfStock", f"out of stock: {missing[0]}")
    return {"reserved": True, "reservation_id": f"res-{wanted['order_id']}"}


@worker.task("refund")
def refund(payment: dict[str, Json], context: TaskContext) -> Json:
    note(context, payment)
    return {"refunded": payment["payment_id"]}


@worker.task("release")
def release(reservation: dict[str, Json], context: TaskContext) -> Json:
    note(context, reservation)
    return {"released": reservation["reservation_id"]}


@worker.task("undo")
def undo(order: dict[str, Json], context: TaskContext) -> Json:
    """Refund and release whatever there is: after a failure nobody planned for, it is not known what was done."""
    note(context, order)
    return {"undone": order["order_id"]}


@worker.task("ship")
def ship(parcel: dict[str, Json], context: TaskContext) -> Json:
    """Hand one line to the carrier."""
    note(context, parcel)
    [line] = _dicts([parcel["line"]])
    if line["sku"] == "fragile" and context.attempt == 0:
        raise TaskError("CarrierBusy", "no van for fragile goods right now")
    return {"sku": line["sku"], "tracking": f"{parcel['carrier']}-{parcel['order_id']}-{parcel['number']}"}


def note(context: TaskContext, arguments: Json) -> None:
    """Leave a line in the ledger; one write to a file opened for appending, so that processes may share it."""
    path = os.environ.get("ORDER_LEDGER")
    if path is None:
        return
    ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, json_bytes({"token": context.token, "input": arguments}) + b"\n")
    finally:
        os.close(ledger)


def _whole(value: Json, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TaskError("InvalidOrder", f"{name} must be a whole number, not below 0")
    return value


def _dicts(value: Json) -> list[dict[str, Json]]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []
