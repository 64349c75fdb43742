"""The calls by which the code writes log lines, read from its source: event, level and fields."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import outbox

CHECKOUT = Path(outbox.__file__).parents[1]
TOPS = ("outbox", "service", "actors")
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
"""The level of the line that each method of a logger writes."""
PLACES = {
    "actors": {"worker"},
    "outbox": {"api", "relay", "worker"},
    "outbox/amqp": {"relay", "worker"},
    "outbox/cli": {"worker"},
    "outbox/http": {"api"},
    "outbox/maintenance": {"relay"},
    "outbox/relay": {"relay"},
    "outbox/store": {"api", "relay", "worker"},
    "outbox/submission": {"api", "relay", "worker"},
    "outbox/worker": {"worker"},
    "service": {"api", "worker"},
}
"""Which processes run the modules of a folder."""


@dataclass(frozen=True)
class LogCall:
    """One call of a logger."""

    place: str
    event: str
    level: str
    fields: frozenset[str]
    processes: frozenset[str]


@cache
def log_calls() -> list[LogCall]:
    """Each call `log.info(...)`, `log.warning(...)` and so on. Raises ValueError if unreadable."""
    return [*_log_calls()]


def _log_calls() -> Iterator[LogCall]:
    for path in source_files():
        for function, call in _calls_of("log.", path):
            if level := _level(call):
                yield LogCall(
                    f"{path.relative_to(CHECKOUT)}:{call.lineno}",
                    _text(call.args[0], path),
                    level,
                    frozenset(_call_fields(call, function, path)),
                    _processes(path, function),
                )


@cache
def bound_fields() -> set[str]:
    """The fields that are bound to all lines of a request or an attempt."""
    found: set[str] = set()
    for path in source_files():
        for function, call in _calls_of("contextvars", path):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name in ("bind_contextvars", "bound_contextvars"):
                found |= _keywords(call, function, path)
    return found


@cache
def source_files() -> list[Path]:
    """The modules that processes run."""
    return [file for top in TOPS for file in sorted((CHECKOUT / top).rglob("*.py"))]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _calls_of(name: str, path: Path) -> Iterator[tuple[ast.AST, ast.Call]]:
    return _calls(_tree(path)) if name in path.read_text() else iter(())


def _calls(tree: ast.AST, function: ast.AST | None = None) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Each call, with the innermost function around it."""
    for node in ast.iter_child_nodes(tree):
        inside = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.Call):
            yield inside or tree, node
        yield from _calls(node, inside)


def _level(call: ast.Call) -> str | None:
    match call.func:
        case ast.Attribute(value=ast.Name(id="log"), attr=method):
            return LEVELS[method]
    return None


def _text(node: ast.expr, path: Path) -> str:
    """A literal, or a constant of a module, which is found by its name."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    name = ast.unparse(node).rpartition(".")[2]
    for file in source_files():
        for each in _tree(file).body:
            match each:
                case ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=text)):
                    if found == name:
                        return str(text)
    raise ValueError(f"{path}:{node.lineno}: the event is no literal and no constant")


def _call_fields(call: ast.Call, function: ast.AST, path: Path) -> set[str]:
    found = _keywords(call, function, path)
    if ast.unparse(call.func).endswith(".exception") or "exc_info" in found:
        found |= {"exception"}
    return found - {"exc_info"}


def _keywords(call: ast.Call, function: ast.AST, path: Path) -> set[str]:
    named = {each.arg for each in call.keywords if each.arg}
    spread = [each.value for each in call.keywords if each.arg is None]
    return named.union(*(_keys(each, function, path) for each in spread))


def _keys(node: ast.expr, function: ast.AST, path: Path) -> set[str]:
    """The keys that a mapping may have which is built from literals, here or in a function."""
    match node:
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            each = ({_text(k, path)} if k else _keys(v, function, path) for k, v in pairs)
            return set().union(*each)
        case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return _keys(left, function, path) | _keys(right, function, path)
        case ast.DictComp(generators=[ast.comprehension(iter=ast.Call(func=items))]):
            return _keys(items.value, function, path) if isinstance(items, ast.Attribute) else set()
        case ast.Name(id=name):
            return set().union(*(_keys(each, function, path) for each in _assigned(function, name)))
        case ast.Call(func=called) | (ast.Attribute() as called):
            return _returned(ast.unparse(called).rpartition(".")[2], path)
    raise ValueError(f"{path}:{node.lineno}: cannot tell which fields `{ast.unparse(node)}` has")


def _assigned(function: ast.AST, name: str) -> list[ast.expr]:
    found = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    ]
    if not found:
        raise ValueError(f"nothing is assigned to {name}")
    return found


def _returned(name: str, path: Path) -> set[str]:
    """The keys of what the function or property of this name returns: of this module, or of any."""
    found = _functions(name, path) or [
        each for file in source_files() for each in _functions(name, file)
    ]
    if len(found) != 1:
        raise ValueError(f"{path}: {len(found)} functions have the name {name}, not one")
    ((function, file),) = found
    values = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
    return set().union(*(_keys(each, function, file) for each in values if each))


def _functions(name: str, path: Path) -> list[tuple[ast.AST, Path]]:
    if f"def {name}(" not in path.read_text():
        return []
    found = [each for each in ast.walk(_tree(path)) if isinstance(each, ast.FunctionDef)]
    return [(each, path) for each in found if each.name == name]


def _processes(path: Path, function: ast.AST) -> frozenset[str]:
    if path.name == "event_log.py":
        return frozenset(_emitters(function))
    folder = path.parent.relative_to(CHECKOUT)
    for each in (folder, *folder.parents):
        if found := PLACES.get(str(each)):
            return frozenset(found)
    raise ValueError(f"say in PLACES which processes run {path}")


def _emitters(subscriber: ast.AST) -> set[str]:
    """Who emits the event that a subscriber of outbox/event_log.py takes.

    That is what docs/events.md says, which a test of its own compares with the code. The api and
    the commands log no events.
    """
    assert isinstance(subscriber, ast.FunctionDef)
    annotation = subscriber.args.args[0].annotation
    event = ast.unparse(annotation) if annotation else ""
    page = (CHECKOUT / "docs" / "events.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{event}` |"))
    return {"relay", "worker"} & {each.strip() for each in re.split(r"[;,]", row.split("|")[2])}
