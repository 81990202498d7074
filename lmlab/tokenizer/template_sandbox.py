"""jinja2's sandbox with a budget: a chat template out of a stranger's file runs in bounded time and memory.

jinja2 keeps a template from the machine, not from looping forever or from building a text of a gigabyte. Here every
loop, call, filter, operator and output is charged for what it handles, before it grows; and only what chat templates
use is there at all.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, ItemsView, KeysView, ValuesView
from typing import Any

from jinja2 import TemplateError, nodes, pass_context
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MAX_VALUE = 1_000_000  # characters of one value, all that a list holds counted
MAX_WORK = 20_000_000  # characters handled in one rendering: about a second
STEP = 100  # what a step costs that handles no characters

_FILTERS = (
    "abs capitalize count d default dictsort first float int items join last length list lower map max min reject "
    "rejectattr replace reverse safe select selectattr sort string title trim unique upper"
).split()
_TESTS = (
    "boolean defined divisibleby eq equalto even false float ge greaterthan gt in integer iterable le lessthan lower "
    "lt mapping ne none number odd sameas sequence string true undefined upper == != < <= > >="
).split()
_METHODS = {
    str: (
        "capitalize count endswith find index isalpha isdigit islower isspace isupper join lower lstrip partition "
        "removeprefix removesuffix replace rfind rpartition rsplit rstrip split splitlines startswith strip title upper"
    ).split(),
    dict: "get items keys values".split(),
    list: "count index".split(),
    LoopContext: "changed cycle".split(),
}
_ONE_STEP = "count d default first last length".split()  # filters that take a step, however much they are given
_COMPARING = "eq equalto ge greaterthan gt in le lessthan lower lt ne upper == != < <= > >=".split()
_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)
_CONTAINERS = (list, tuple, dict, ItemsView, KeysView, ValuesView)


class TooMuch(TemplateError):
    """The budget of one rendering is spent."""


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """The environment in which transformers renders chat templates, with limits; one rendering at a time."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        # Nothing is computed while compiling, when no budget runs yet: no optimizer, and a finalizer with a context.
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=[_Generation, loopcontrols], cache_size=0
        )
        self.finalize = pass_context(lambda _context, value: self.measured(value))
        filters: dict[str, Any] = {name: self.filters[name] for name in _FILTERS} | {"tojson": _tojson}
        self.filters = {name: self._charged(name, filters[name], name not in _ONE_STEP) for name in filters}
        tests: dict[str, Any] = self.tests
        self.tests = {name: self._charged(name, tests[name], name in _COMPARING) for name in _TESTS}
        self._functions: tuple[Any, ...] = (self.globals["range"], _Namespace, _dict, _raise_exception, _strftime_now)
        names = ("range", "namespace", "dict", "raise_exception", "strftime_now")
        self.globals = dict(zip(names, self._functions, strict=True))
        self._fixed = 0  # characters of the template that stand outside of {{ }} and {% %}
        self.start()

    def start(self) -> None:
        """A new rendering, with a full budget."""
        self._left = MAX_WORK

    def compiled(self, source: str) -> Any:
        """The template of this source. Raises TemplateError for what is not allowed at all."""
        tree = self.parse(source)
        for node in tree.find_all(_REFUSED):
            raise TemplateError(f"'{type(node).__name__.lower()}' reads other files or templates")
        for loop in tree.find_all(nodes.For):
            if loop.recursive:
                raise TemplateError("recursive loops are not read")
        self._fixed = _fixed_characters(tree)
        return self.template_class.from_code(self, self.compile(_Charging().visit(tree)), dict(self.globals))

    def charge(self, characters: int) -> None:
        """Spend a step and what it handles."""
        self._left -= STEP + characters
        if characters > MAX_VALUE:
            raise TooMuch(f"it builds a text or list of over {MAX_VALUE:,} characters")
        if self._left < 0:
            raise TooMuch("it takes too many steps")

    def measured(self, value: Any) -> Any:
        """The value itself, charged for all that it holds."""
        self.charge(_weight(value, MAX_VALUE))
        return value

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        self, owner = __self, getattr(__obj, "__self__", None)
        name = getattr(__obj, "__name__", "")
        if owner is self:  # a charge that _Charging put there; no template can name this environment
            return __obj(*args)
        if isinstance(__obj, Macro):
            self.charge(min(self._fixed, MAX_VALUE))
        elif isinstance(__obj, Undefined):
            self.charge(0)  # what follows says what is undefined
        elif any(__obj is function for function in self._functions):
            self.measured([*args, *kwargs.values()])
        elif any(isinstance(owner, kind) and name in names for kind, names in _METHODS.items()):
            self._check_method(owner, name, args, kwargs)
        else:
            raise SecurityError(f"it calls {name or type(__obj).__name__!r}, which chat templates have no use for")
        result = super().call(__context, __obj, *args, **kwargs)
        self.charge(0 if isinstance(result, Namespace | Macro) else _weight(result, MAX_VALUE))
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        sizes = _weight(left, MAX_VALUE), _weight(right, MAX_VALUE)
        self.charge(sizes[0] + sizes[1])
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(
                f"it uses {operator} for powers or formatted text, which chat templates have no use for"
            )
        if operator == "*":
            for text, size, times in ((left, sizes[0], right), (right, sizes[1], left)):
                if isinstance(text, str | list | tuple) and isinstance(times, int):
                    self.charge(size * max(0, times))
        return super().call_binop(context, operator, left, right)

    def _check_method(self, owner: Any, name: str, args: Any, kwargs: Any) -> None:
        self.measured([*args, *kwargs.values()])
        self.charge(0 if isinstance(owner, dict | LoopContext) else _weight(owner, MAX_VALUE))
        if isinstance(owner, str) and name == "replace" and args:
            self._check_replacing(owner, *args[:2])
        if isinstance(owner, str) and name == "join" and args:
            self.charge(len(owner) * _count(args[0]))

    def _check_replacing(self, text: str, old: Any = "", new: Any = "") -> None:
        if isinstance(old, str) and isinstance(new, str):
            self.charge(text.count(old) * len(new))

    def _charged(self, name: str, function: Callable[..., Any], whole: bool) -> Callable[..., Any]:
        """A filter or a test that is charged for what it takes and for what it gives, or for a step."""
        first = 1 if hasattr(function, "jinja_pass_arg") else 0  # jinja2 hands itself over as the first argument

        def charged(*args: Any, **kwargs: Any) -> Any:
            if not whole:
                self.charge(0)
                return function(*args, **kwargs)
            value, *rest = args[first:]
            if name == "join":
                value = list(value)
                self.charge(len(str([*rest, *kwargs.values(), ""][0])) * len(value))
            self.measured([value, *rest, *kwargs.values()])
            if name == "replace":
                self._check_replacing(str(value), *rest[:2])
            return self.measured(function(*args[:first], value, *rest, **kwargs))

        if first:
            charged.jinja_pass_arg = function.jinja_pass_arg  # type: ignore[attr-defined]
        return charged

    def joined(self, parts: list[Any]) -> str:
        """The texts of several values, which were measured, as one."""
        return "".join(map(str, parts))

    def looped(self, items: Any, fixed: int) -> list[Any]:
        """What a loop goes through, charged for every round with the characters that its body writes."""
        listed = list(items)
        self._left -= len(listed) * (STEP + fixed)
        self.charge(0)
        return listed


class _Charging(NodeTransformer):
    """Puts the charges into a template's tree where jinja2 has no hook for them."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _charge("looped", node.iter, nodes.Const(_fixed_characters(node)))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:
        self.generic_visit(node)
        return _charge("joined", _charge("measured", nodes.List(node.nodes)))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _charge("measured", node.expr)
        for operand in node.ops:
            operand.expr = _charge("measured", operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        is_slice = isinstance(node.arg, nodes.Slice)
        return _charge("measured", node) if is_slice else node

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _charge("measured", node)

    visit_Dict = visit_List

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return node if node.ctx == "store" else _charge("measured", node)


class _Generation(Extension):
    """`{% generation %}`, which marks the assistant's words for training: here only its content."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Namespace(Namespace):
    """jinja2's namespace without names that Python itself reads."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        values = dict(*args[1:], **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(args[0], values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or name.startswith("_"):
        raise SecurityError(f"it keeps the name {name!r} in a namespace; names there begin with a letter")


def _charge(method: str, *args: Any) -> nodes.Call:
    """A call of one of the environment's own methods."""
    own = nodes.EnvironmentAttribute(method, lineno=args[0].lineno)
    return nodes.Call(own, list(args), [], None, None, lineno=args[0].lineno)


def _fixed_characters(node: nodes.Node) -> int:
    return sum(len(data.data) for data in node.find_all(nodes.TemplateData))


def _weight(value: Any, limit: int) -> int:
    """Characters that a value holds, every element counted as often as it is there; stops counting past `limit`."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int) and value.bit_length() > 256:
        raise TooMuch("it computes with numbers of over 256 bits")
    if isinstance(value, Namespace):
        raise SecurityError("it uses a namespace as a value; its entries can be used")
    if not isinstance(value, _CONTAINERS):
        return 1
    total = 1
    for element in value.items() if isinstance(value, dict) else value:
        total += 1 + _weight(element, limit - total)
        if total > limit:
            break
    return total


def _count(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    if indent is not None and not (isinstance(indent, int) and 0 <= indent <= 16):
        raise SecurityError(f"it indents JSON by {indent!r}; 0 to 16 is usual")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _raise_exception(message: Any) -> None:
    raise TemplateError(str(message)[:300])


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(str(form)[:100])
