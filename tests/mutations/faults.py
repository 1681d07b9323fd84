"""Where a fault can be planted in Python source, and the source with one of them."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One change of one expression: ``before`` lies at a line and byte columns of a file of the source."""

    path: str
    line: int
    end_line: int
    begin: int
    end: int
    kind: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """Return where it is and what it does."""
        short = " ".join(self.before.split())
        return f"{self.path}:{self.line}:{self.begin} {self.kind}: {short[:60]} -> {' '.join(self.after.split())[:60]}"

    def planted(self, source: str) -> str:
        """Return the source with the fault in it."""
        lines = [line.encode() for line in source.splitlines(keepends=True)]
        head, tail = lines[self.line - 1][: self.begin], lines[self.end_line - 1][self.end :]
        changed = [*lines[: self.line - 1], head + self.after.encode() + tail, *lines[self.end_line :]]
        return b"".join(changed).decode()


def faults(path: str, source: str) -> list[Fault]:
    """Return every fault that can be planted in a file, in the order of its lines."""
    faults = []
    for node, kind, changed in _changes(ast.parse(source)):
        before = ast.get_source_segment(source, node)
        if before is None or node.end_lineno is None or node.end_col_offset is None:
            continue
        after = changed if isinstance(changed, str) else f"({ast.unparse(changed)})"
        place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        faults.append(Fault(path, *place, kind, before, after))
    return sorted(faults, key=lambda fault: (fault.line, fault.begin, fault.kind, fault.after))


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, ast.expr | str]]:
    """Yield nodes with the kind of a fault, and what stands there instead: all of code, none of types and texts."""
    for node in _code(tree):
        match node:
            case ast.Compare(ops=[operator]) if type(operator) in COMPARED:
                yield node, "comparison", _with(node, ops=[COMPARED[type(operator)]()])
            case ast.BinOp(op=sign) if type(sign) in SWAPPED:
                yield node, "operator", _with(node, op=SWAPPED[type(sign)]())
            case ast.BoolOp(op=word):
                yield node, "and-or", _with(node, op=ast.Or() if isinstance(word, ast.And) else ast.And())
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield node, "not dropped", operand
            case ast.Constant(value=bool() as truth):
                yield node, "constant", ast.Constant(not truth)
            case ast.Constant(value=int() | float() as number):
                yield node, "constant", ast.Constant(number + 1)
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                yield test, "negated", ast.UnaryOp(ast.Not(), test)
            case ast.comprehension(ifs=[test, *_]):
                yield test, "negated", ast.UnaryOp(ast.Not(), test)
            case ast.Return(value=ast.expr() as value) if not _is_none(value):
                yield value, "return dropped", "None"


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is run below a node: no annotation, no decorator (`frozen=False` changes nothing), no f-string."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _code(child)


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def below(root: Path, folder: str) -> list[Fault]:
    """Return every fault of the files below a folder of a tree, files by name."""
    files = sorted((root / folder).rglob("*.py"))
    return [fault for file in files for fault in faults(file.relative_to(root).as_posix(), file.read_text("utf-8"))]
