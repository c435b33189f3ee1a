"""Turns a port into a class that has all its methods and does nothing yet."""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The text of a class, and where the names in it come from: module -> names."""

    text: str
    imports: dict[str, set[str]]


def skeleton(port: ModuleType, protocol: str, class_name: str, head: str) -> Skeleton:
    """A class with every method of a port's Protocol; `head` is its docstring, attributes, constructor."""
    module = ast.parse(inspect.getsource(port))
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    methods = [
        node for node in classes[protocol].body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    text = "\n\n".join([f"class {class_name}:\n{head}", *(_method(node) for node in methods)])
    origins = _origins(module, port.__name__)
    imports: defaultdict[str, set[str]] = defaultdict(set)
    for name in {name for node in methods for name in _names_in_signature(node)}:
        if name in origins:
            imports[origins[name]].add(name)
    return Skeleton(text + "\n", dict(imports))


def import_lines(*skeletons: dict[str, set[str]]) -> str:
    """Import statements for all names of several skeletons."""
    together: defaultdict[str, set[str]] = defaultdict(set)
    for imports in skeletons:
        for module, names in imports.items():
            together[module] |= names
    return "\n".join(
        f"from {module} import {', '.join(sorted(together[module]))}" for module in sorted(together)
    )


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    node.body = [
        ast.Expr(ast.Constant(ast.get_docstring(node) or "")),
        ast.parse(f'raise NotImplementedError("{node.name}")').body[0],
    ]
    lines = ast.unparse(node).splitlines()
    return "\n".join(f"    {line}" if line else "" for line in lines)


def _names_in_signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    parts = [node.args, *([node.returns] if node.returns else [])]
    for part in parts:
        yield from (item.id for item in ast.walk(part) if isinstance(item, ast.Name))


def _origins(module: ast.Module, own: str) -> dict[str, str]:
    """Where each name at the top of a module comes from."""
    origins: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            origins |= dict.fromkeys((alias.asname or alias.name for alias in node.names), node.module)
        elif isinstance(node, ast.ClassDef):
            origins[node.name] = own
        elif isinstance(node, ast.Assign):
            origins |= {target.id: own for target in node.targets if isinstance(target, ast.Name)}
    return origins
