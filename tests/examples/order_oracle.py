"""What an order must come to, computed from its input alone, without the workflow: for tests to compare with."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from processor.model.json import Json

Status: TypeAlias = Literal["SUCCEEDED", "FAILED"]

MOST_RETRIES = 2
ARMS = ("invalid", "nothing", "not-approved", "freight", "courier", "parcel")


def expected(order: dict[str, Any]) -> tuple[Status, Json]:
    """Return the status and the output; for FAILED {"error", "cause"}."""
    if not order["lines"]:
        return "FAILED", {"error": "InvalidOrder", "cause": "an order needs lines"}
    total = total_of(order)
    hold, delay = order.get("hold_seconds", 1), order.get("delay_ms", 0)
    arm = arm_of(order)
    if arm == "nothing":
        check: Json = {
            "total_cents": 0,
            "line_count": len(order["lines"]),
            "hold_seconds": hold,
            "delay_ms": delay,
        }
        return "SUCCEEDED", check
    if arm == "not-approved":
        return "FAILED", {"error": "ApprovalMissing", "cause": "orders over 10,000.00 need approved_by"}
    problem = unplanned_error(order)
    if problem is not None:
        return "FAILED", {"error": "OrderBroken", "cause": problem}
    payment, stock = payment_of(order), stock_of(order)
    if not (payment["charged"] and stock["reserved"]):
        settled: Json = {"payment": payment, "stock": stock}
        return "SUCCEEDED", {"status": "CANCELLED", "order_id": order["order_id"], "settled": settled}
    return "SUCCEEDED", {
        "status": "SHIPPED",
        "order_id": order["order_id"],
        "total_cents": total,
        "carrier": arm,
        "payment_id": payment["payment_id"],
        "shipments": [
            {"sku": line["sku"], "tracking": f"{arm}-{order['order_id']}-{number}"}
            for number, line in enumerate(order["lines"])
        ],
    }


def arm_of(order: dict[str, Any]) -> str:
    """Return the way that Validate and Route send it, one of ARMS."""
    if not order["lines"]:
        return "invalid"
    total = total_of(order)
    if total == 0:
        return "nothing"
    if total > 1_000_000 and "approved_by" not in order:
        return "not-approved"
    if total >= 100_000:
        return "freight"
    if order.get("express") is True or order["customer"].endswith("@vip.example.com"):
        return "courier"
    return "parcel"


def total_of(order: dict[str, Any]) -> int:
    return sum(line["quantity"] * line["price_cents"] for line in order["lines"])


def unplanned_error(order: dict[str, Any]) -> str | None:
    """Return the error that ends in Undo: charging fails in a way that no Catch of its branch names."""
    card, _, times = order["card"].partition(":")
    if card == "broken":
        return "RuntimeError"
    return "CardNetworkBusy" if card == "flaky" and int(times or 1) > MOST_RETRIES else None


def payment_of(order: dict[str, Any]) -> dict[str, Json]:
    if order["card"] == "declined":
        return {"charged": False, "reason": "the bank declined the card"}
    return {"charged": True, "payment_id": f"pay-{order['order_id']}", "amount_cents": total_of(order)}


def stock_of(order: dict[str, Any]) -> dict[str, Json]:
    if any(line["sku"] == "unobtainium" for line in order["lines"]):
        return {"reserved": False, "reason": "out of stock: unobtainium"}
    return {"reserved": True, "reservation_id": f"res-{order['order_id']}"}
