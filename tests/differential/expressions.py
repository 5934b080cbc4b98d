"""Inputs, and what may be written about them: paths, intrinsic functions, payload templates, Choice rules.

All are about the one shape of `an_input`, so that most find something; a few miss, or meet a value of another type.
"""

from __future__ import annotations

from processor.model.json import Json
from tests.differential.draws import Draws

Object = dict[str, Json]

TIMES = ("2024-01-02T03:04:05Z", "2016-03-14T01:59:00Z", "2024-01-02T03:04:06Z", "2030-12-31T23:59:59Z")
TEXTS = ("a", "alpha", "Beta", "log.txt", "a-b", "zebra", "", "über", "x y", "10")


def an_input(draw: Draws) -> Object:
    items: list[Json] = [
        {"id": number + 1, "name": draw.one(TEXTS), "tags": draw.some(["red", "blue", "green"], least=0, most=3)}
        for number in range(draw.between(1, 4))
    ]
    if draw.chance(3):
        items.append({"id": draw.between(1, 9), "price": draw.one([9.5, 10, 0.25, 100]), "name": "last"})
    return {
        "n": draw.one([0, 1, 2, 3, 5, 10]),
        "x": draw.one([0.5, 1.5, 2.25, -1.5, 3.75]),
        "neg": -draw.between(1, 5),
        "s": draw.one(TEXTS),
        "csv": draw.one(["1,2,3", "a;b,c", "one", "", ",,", "a.b.c"]),
        "t": draw.one(TIMES),
        "b": draw.chance(2),
        "z": None,
        "obj": {"a": draw.between(0, 9), "b": {"c": draw.one(TEXTS), "d": [1, 2]}, "e f": True},
        "list": list(range(1, draw.between(2, 6))),
        "mixed": [1, "two", None, True, 2.5, {"k": "v"}, [3]],
        "texts": draw.some(TEXTS, least=1, most=4),
        "doubled": [1, 2, 1, "a", "a", 3],
        "nested": [[1, 2], [3], []],
        "items": items,
        "empty": [],
        "none": {},
        "other": {"a": -1, "k": "of another"},
        "json": draw.one(['{"k":[1,2,{"m":null}]}', "[1,2]", '"text"', "12", "true"]),
        "zero": 0,
        "past": "2016-03-14T01:59:00Z",
        "b64": draw.one(["aGVsbG8=", "YQ==", "c3RhdGVz"]),
    }


# ---- paths

DEFINITE = (
    "$.n", "$.x", "$.s", "$.t", "$.b", "$.z", "$.obj", "$.obj.a", "$.obj.b", "$.obj.b.c", "$.list", "$.mixed",
    "$.items", "$.empty", "$.none", "$.json", "$.neg", "$.texts", "$.nested", "$.csv", "$",
)  # fmt: skip
BRACKETED = (
    "$['n']", "$['obj']['a']", "$.obj['b'].c", "$['obj'].b['c']", "$.obj['e f']", "$.list[0]", "$.items[0]",
    "$.items[0].id", "$.items[0]['name']", "$.nested[0][1]", "$.nested[0]", "$.mixed[5].k", "$.mixed[6][0]",
    "$.list[-1]", "$.items[-1].id",
)  # fmt: skip
INDEFINITE = (
    "$.list[*]", "$.items[*]", "$.items[*].id", "$.items[*].name", "$.items[*].price", "$.items[*].tags[0]",
    "$.items[*].tags[*]", "$.nested[*]", "$.nested[*][0]", "$.nested[*][*]", "$.list[0:2]", "$.list[:1]", "$.list[1:]",
    "$.list[-2:]", "$.list[0:4:2]", "$.items[0:2].id", "$.items[:1].name", "$.mixed[0,2]", "$.list[0,1]", "$.obj.*",
    "$.obj.b.*", "$.none.*", "$.empty[*]", "$..id", "$..c", "$..tags", "$.items..name", "$..nothing",
    "$.obj['a','e f']",
)  # fmt: skip
FILTERED = (
    "$.items[?(@.id == 1)]", "$.items[?(@.id > 1)]", "$.items[?(@.id > 1)].name", "$.items[?(@.id >= 2)].id",
    "$.items[?(@.id < 0)]", "$.items[?(@.name == 'last')]", "$.items[?(@.price)]", "$.items[?(@.price)].price",
    "$.items[?(@.id != 1)].id", "$.items[?(@.id <= 2)].name", "$.items[?(@.id == 1)].tags", "$.list[?(@ > 1)]",
    "$.items[?(@.id > 1 && @.name == 'last')].id", "$.items[?(@.id == 1 || @.id == 2)].id",
)  # fmt: skip
MISSING = (
    "$.nope", "$.obj.nope", "$.list[9]", "$.s.nope", "$.items[0].nope", "$.none.k", "$.z.k", "$.empty[0]", "$.n[0]",
)  # fmt: skip
CONTEXT = (
    "$$.Execution.Id", "$$.Execution.Name", "$$.Execution.Input", "$$.Execution.Input.n", "$$.Execution.Input.obj.b",
    "$$.Execution.RoleArn", "$$.StateMachine.Id", "$$.StateMachine.Name", "$$.State.Name",
    "$$.Execution.Input.items[0].id", "$$.Execution.Input.items[*].id", "$$['Execution']['Name']",
)  # fmt: skip
REFERENCES = ("$.r", "$.obj.r", "$.obj.b.r", "$.new.deep.er", "$['quoted']", "$.n", "$.obj")
KINDS = (DEFINITE, DEFINITE, BRACKETED, INDEFINITE, FILTERED)


def a_path(draw: Draws, *, calm: bool = True) -> str:
    """`calm`: what it names is there. Otherwise one in six is not."""
    if not calm and draw.chance(6):
        return draw.one(MISSING)
    if draw.chance(8):
        return draw.one(CONTEXT)
    return draw.one(draw.one(KINDS))


# ---- intrinsic functions


def a_call(draw: Draws, *, depth: int = 2, calm: bool = True) -> str:
    """Return a call of one of the 16 functions that draw nothing; UUID and MathRandom would differ by chance."""
    makers = [_text_call, _array_call, _number_call, _json_call]
    return draw.one(makers)(draw, depth, calm)


def _text(draw: Draws, depth: int) -> str:
    if depth and draw.chance(4):
        return _text_call(draw, depth - 1, True)
    return draw.one(["$.s", "$.csv", "$.obj.b.c", "'abc'", "'it\\'s'", "$.items[0].name", "'ü'", "$.json"])


def _array(draw: Draws, depth: int) -> str:
    if depth and draw.chance(4):
        return _array_call(draw, depth - 1, True)
    paths = [
        "$.list",
        "$.mixed",
        "$.texts",
        "$.nested",
        "$.items",
        "$.empty",
        "$.doubled",
        "$.items[*].id",
        "$.list[1:]",
    ]
    return draw.one(paths)


def _number(draw: Draws, depth: int) -> str:
    if depth and draw.chance(5):
        return _number_call(draw, depth - 1, True)
    return draw.one(["1", "2", "0", "-3", "7", "$.n", "$.neg", "$.obj.a", "$.list[0]"])


def _any(draw: Draws, depth: int) -> str:
    return draw.one([_text, _array, _number, _literal])(draw, depth)


def _literal(draw: Draws, _depth: int) -> str:
    return draw.one(["null", "true", "false", "'x'", "12", "$.z", "$.b", "$.obj", "$.mixed[5]", "$.t", "$.x"])


def _text_call(draw: Draws, depth: int, calm: bool) -> str:
    match draw.below(6):
        case 0:
            return f"States.Format('{{}}', {_any(draw, depth)})"
        case 1:
            return f"States.Format('a {{}} b {{}}', {_any(draw, depth)}, {_any(draw, depth)})"
        case 2:
            return (
                f"States.JsonToString({draw.one(['$.obj', '$.list', '$.mixed', '$.s', '$.items[0]', '$.none', '$'])})"
            )
        case 3:
            return f"States.Base64Encode({draw.one(['$.s', chr(39) + 'hello' + chr(39), '$.csv', '$.json'])})"
        case 4:
            return f"States.Base64Decode({draw.one(['$.b64', chr(39) + 'eHl6' + chr(39)])})"
        case _:
            algorithm = draw.one(["MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512"] if calm else ["SHA-256", "SHA-3"])
            return f"States.Hash({draw.one(['$.s', '$.csv', chr(39) + 'abc' + chr(39)])}, '{algorithm}')"


def _array_call(draw: Draws, depth: int, calm: bool) -> str:
    match draw.below(6):
        case 0:
            arguments = [_any(draw, depth) for _ in range(draw.between(0, 3))]
            return f"States.Array({', '.join(arguments)})"
        case 1:
            size = draw.one(["1", "2", "3", "5"] if calm else ["0", "-1", "2.6", "$.s", "$.n"])
            return f"States.ArrayPartition({_array(draw, depth)}, {size})"
        case 2:
            if not calm and draw.chance(2):
                return f"States.ArrayRange({_number(draw, depth)}, {_number(draw, depth)}, {_number(draw, depth)})"
            return f"States.ArrayRange({draw.between(-2, 3)}, {draw.between(3, 9)}, {draw.between(1, 3)})"
        case 3:
            return f"States.ArrayUnique({_array(draw, depth)})"
        case 4:
            return f"States.StringSplit({_text(draw, depth)}, '{draw.one([',', ';,', '.', 'b', ' '])}')"
        case _:
            return f"States.ArrayPartition(States.ArrayUnique($.doubled), {draw.between(1, 4)})"


def _number_call(draw: Draws, depth: int, calm: bool) -> str:
    match draw.below(4):
        case 0:
            return f"States.MathAdd({_number(draw, depth)}, {_number(draw, depth)})"
        case 1:
            return f"States.ArrayLength({_array(draw, depth)})"
        case 2:
            return f"States.MathAdd({draw.one(['$.x', '1.5', '-1.5', '2.4', '$.n'] if not calm else ['$.n'])}, 1)"
        case _:
            index = draw.one(["0", "0", "1", "-1", "99", "$.s", "1.5"] if not calm else ["0"])
            return f"States.ArrayGetItem({draw.one(['$.list', '$.nested[0]', '$.mixed'])}, {index})"


def _json_call(draw: Draws, depth: int, calm: bool) -> str:
    match draw.below(4):
        case 0:
            return f"States.StringToJson({draw.one(['$.json', '$.csv'] if not calm else ['$.json'])})"
        case 1:
            deep = draw.one(["true", "'false'", "false"]) if not calm else "false"
            first, second = draw.one(["$.obj", "$.none", "$.other"]), draw.one(["$.mixed[5]", "$.obj", "$.other"])
            return f"States.JsonMerge({first}, {second}, {deep})"
        case 2:
            return f"States.ArrayContains({_array(draw, depth)}, {_any(draw, depth)})"
        case _:
            return "States.StringToJson(States.JsonToString($.obj))"


def an_expression(draw: Draws, *, calm: bool = True) -> str:
    return a_call(draw, calm=calm) if draw.chance(3) else a_path(draw, calm=calm)


# ---- payload templates

CONSTANTS: tuple[Json, ...] = (1, "text", None, True, [1, 2], {"k": "$.n"}, 1.5, "$.n")


def a_template(draw: Draws, *, depth: int = 2, calm: bool = True) -> Object:
    made: Object = {}
    for number in range(draw.between(1, 3)):
        match draw.below(5 if depth else 3):
            case 0 | 1:
                made[f"p{number}.$"] = an_expression(draw, calm=calm)
            case 2:
                made[f"c{number}"] = draw.one(CONSTANTS)
            case 3:
                made[f"o{number}"] = a_template(draw, depth=depth - 1, calm=calm)
            case _:
                made[f"a{number}"] = [draw.one([1, "$.n", None]), a_template(draw, depth=depth - 1, calm=calm)]
    return made


# ---- Choice rules

_ORDERS = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
_OPERANDS: dict[str, tuple[tuple[Json, ...], tuple[str, ...]]] = {
    "Numeric": ((0, 1, 2, 3, 5, -2, 1.5, 2.25), ("$.n", "$.x", "$.neg", "$.obj.a", "$.list[0]")),
    "String": (("a", "alpha", "B", "", "zebra", "über"), ("$.s", "$.obj.b.c", "$.csv")),
    "Timestamp": (TIMES, ("$.t",)),
}
_PATTERNS = ("*", "a*", "*.txt", "*a", "al*a", "a", "*-*", "l*.t*t", "Beta*", "**", "x y")
_VARIABLES = (
    "$.n",
    "$.x",
    "$.s",
    "$.t",
    "$.b",
    "$.z",
    "$.obj.a",
    "$.obj",
    "$.list",
    "$.list[0]",
    "$$.State.Name",
    "$$.Execution.Input.n",
)


def a_rule(draw: Draws, *, depth: int = 2, calm: bool = True) -> Object:
    if depth and draw.chance(4):
        match draw.below(3):
            case 0:
                return {"Not": a_rule(draw, depth=depth - 1, calm=calm)}
            case kind:
                parts: list[Json] = [a_rule(draw, depth=depth - 1, calm=calm) for _ in range(draw.between(1, 3))]
                return {"And": parts} if kind == 1 else {"Or": parts}
    match draw.below(7):
        case 0 | 1 | 2:
            return _a_comparison(draw, calm)
        case 3:
            return {
                "Variable": draw.one(_VARIABLES),
                draw.one(["IsNull", "IsNumeric", "IsString", "IsBoolean"]): _bit(draw),
            }
        case 4:
            paths = [*_VARIABLES, *MISSING, "$.items[1].id", "$.items[*].price"]
            return {"Variable": draw.one(paths), "IsPresent": _bit(draw)}
        case 5:
            return {"Variable": draw.one(["$.t", "$.s", "$.n"]), "IsTimestamp": _bit(draw)}
        case _:
            return {"Variable": draw.one(["$.s", "$.csv", "$.obj.b.c", "$.n"]), "StringMatches": draw.one(_PATTERNS)}


def _bit(draw: Draws) -> bool:
    return draw.chance(2)


def _a_comparison(draw: Draws, calm: bool) -> Object:
    if draw.chance(5):
        variable = draw.one(["$.b", "$.obj['e f']", "$.s"])
        return {
            "Variable": variable,
            **({"BooleanEqualsPath": "$.b"} if draw.chance(2) else {"BooleanEquals": _bit(draw)}),
        }
    kind = draw.one(list(_OPERANDS))
    constants, paths = _OPERANDS[kind]
    name = kind + draw.one(_ORDERS)
    variable = draw.one(paths) if not draw.chance(6) else draw.one(_VARIABLES)
    if not calm and draw.chance(5):
        variable = draw.one(MISSING)
    if draw.chance(3):
        return {"Variable": variable, f"{name}Path": draw.one(paths if not draw.chance(8) else _VARIABLES)}
    return {"Variable": variable, name: draw.one(constants)}
