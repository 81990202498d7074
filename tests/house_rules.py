"""The rules of the house that look at one source: each a function from the source to what breaks it.

`RULES` holds a few tiny offenders for each, and `INNOCENT` what it must let pass: a rule that cannot fail keeps
nothing.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator

import lmlab

LEGEND = {
    "B": "batch",
    "T": "query positions",
    "S": "key positions",
    "D": "model width",
    "L": "layers",
    "H": "query heads",
    "K": "key/value heads",
    "E": "width of a head",
    "F": "feed-forward width",
    "V": "vocabulary",
}
FILE_LINES, FUNCTION_LINES = 400, 60
Rule = Callable[[str], list[str]]


def named(node: ast.AST) -> str:
    """The dotted name of an expression such as `os.system`, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{named(node.value)}.{node.attr}"
    return ""


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def notebook_is_public(source: str) -> list[str]:
    """A lab imports `lmlab as lab`, torch and einops, and uses public names alone."""
    tree = ast.parse(source)
    public = {*lmlab.__all__, "__version__"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in ("lmlab", "torch", "einops", "math") or (
                    alias.name.startswith("lmlab") and (alias.name, alias.asname) != ("lmlab", "lab")
                ):
                    found.append(f"imports {alias.name}{f' as {alias.asname}' if alias.asname else ''}")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in ("torch", "einops", "math"):
            found.append(f"imports from {node.module}")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            found.append(f"uses the private {named(node)}")
        elif isinstance(node, ast.Attribute) and named(node.value) == "lab" and node.attr not in public:
            found.append(f"uses lab.{node.attr}, which is not public")
    return found


def short_file(source: str) -> list[str]:
    n = source.count("\n")
    return [f"{n} lines; at most {FILE_LINES}, better 300"] if n > FILE_LINES else []


def short_functions(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = node.body[0] if ast.get_docstring(node) is not None else None
            in_doc = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
            n = (node.end_lineno or 0) - node.lineno + 1 - in_doc
            if n > FUNCTION_LINES:
                found.append(f"line {node.lineno}: {node.name} has {n} lines; at most {FUNCTION_LINES}, better 40")
    return found


def runs_everywhere(source: str) -> list[str]:
    """No fork, fcntl, SIGALRM, symlink or shell: Windows has none of them."""
    tree = ast.parse(source)
    found = [
        f"line {line}: imports {name}"
        for line, name in imported(tree)
        if name.split(".")[0] in ("fcntl", "pty", "pwd", "grp", "termios", "resource", "posix", "msvcrt", "winreg")
    ]
    forbidden = ("os.fork", "os.system", "os.popen", "os.symlink", "os.forkpty", "signal.SIGALRM", "signal.alarm")
    for node in ast.walk(tree):
        name = named(node) if isinstance(node, ast.Attribute) else ""
        if name in forbidden or name.endswith((".symlink_to", ".hardlink_to", ".setitimer")):
            found.append(f"line {node.lineno}: {name}")
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
                    found.append(f"line {node.lineno}: shell=True")
            methods = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if named(node.func).endswith(("get_context", "set_start_method")) and "fork" in methods:
                found.append(f"line {node.lineno}: starts processes by fork")
    return found


def says_encoding(source: str) -> list[str]:
    """Every text file is opened as UTF-8, since Windows guesses something else."""
    found = []
    for call in calls(ast.parse(source)):
        name = named(call.func)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in ("open", "io.open"):
            mode = argument(call, 1, "mode")
        elif method in ("open", "fdopen") and name not in ("os.open", "webbrowser.open", "gzip.open", "zipfile.open"):
            mode = argument(call, 1 if method == "fdopen" else 0, "mode")
        elif method in ("read_text", "write_text"):
            mode = "t"
        elif method in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"):
            mode = argument(call, 0, "mode") or "w+b"
        else:
            continue
        if "b" not in (mode or "r") and not any(keyword.arg == "encoding" for keyword in call.keywords):
            found.append(f"line {call.lineno}: {method or name} without encoding=")
    return found


def argument(call: ast.Call, place: int, keyword: str) -> str | None:
    values = [k.value for k in call.keywords if k.arg == keyword] or call.args[place : place + 1]
    return str(values[0].value) if values and isinstance(values[0], ast.Constant) else None


def text_is_never_html(source: str) -> list[str]:
    found = []
    for call in calls(ast.parse(source)):
        name = named(call.func)
        if name in ("HTML", "HTMLMath") or name.endswith(("widgets.HTML", "widgets.HTMLMath", "display.HTML")):
            found.append(f"line {call.lineno}: {name}(…) executes what a student types")
    return found


def script_writes_no_html(source: str) -> list[str]:
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "srcdoc")
    return [
        f"line {number}: {word}" for number, line in enumerate(source.splitlines(), 1) for word in words if word in line
    ]


def reads_no_pickle(source: str) -> list[str]:
    tree = ast.parse(source)
    found = [
        f"line {line}: imports {name}"
        for line, name in imported(tree)
        if name.split(".")[0] in ("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib")
    ]
    for call in calls(tree):
        keywords = {k.arg: k.value for k in call.keywords}
        if named(call.func) == "torch.load":
            safe = keywords.get("weights_only")
            if not (isinstance(safe, ast.Constant) and safe.value is True):
                found.append(f"line {call.lineno}: torch.load without weights_only=True runs what a file says")
        if named(call.func) in ("np.load", "numpy.load") and "allow_pickle" in keywords:
            found.append(f"line {call.lineno}: numpy.load with allow_pickle")
    return found


def is_documented(source: str) -> list[str]:
    """Every module, and every public class and function at its top or in a public class."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module has no docstring"]
    definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if not isinstance(node, definition) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            found.append(f"line {node.lineno}: {node.name} has no docstring")
        for member in node.body if isinstance(node, ast.ClassDef) else []:
            if not isinstance(member, definition) or member.name.startswith("_") or ast.get_docstring(member):
                continue
            if not is_plain_override(node, member):
                found.append(f"line {member.lineno}: {node.name}.{member.name} has no docstring")
    return found


def is_plain_override(owner: ast.ClassDef, member: ast.AST) -> bool:
    """What a base class or protocol has already said, a class need not; a method of one statement speaks itself."""
    if any(named(base) not in ("", "Protocol", "object") for base in owner.bases):
        return True
    if len(getattr(member, "body", [])) == 1:
        return True
    return any(named(d).endswith((".setter", "overload")) for d in getattr(member, "decorator_list", []))


def letters_of_shapes(source: str) -> list[str]:
    """A shape in a docstring or comment, such as (B, T, V), is written with the letters of the legend."""
    found = []
    for line, text in prose(source):
        for match in re.finditer(r"\(([A-Z](?:\s*,\s*(?:[A-Z]|\d+))+|[A-Z],|\d+(?:\s*,\s*[A-Z])+)\)", text):
            letters = re.findall(r"[A-Z]", match[1])
            foreign = sorted(set(letters) - set(LEGEND))
            if foreign:
                found.append(f"line {line}: shape ({match[1]}) uses {', '.join(foreign)}, which the legend lacks")
    return found


def prose(source: str) -> Iterator[tuple[int, str]]:
    """The docstrings and comments of a source, with their first lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc:
                yield getattr(node, "lineno", 1), doc
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def tells_nothing_of_its_making(source: str) -> list[str]:
    """A file stands for itself: no path of the machine that it was written on."""
    paths = ("/work" + "/", "/root" + "/", "../" + "shared")
    return [f"line {n}: {p}" for n, line in enumerate(source.splitlines(), 1) for p in paths if p in line]


RULES: dict[Rule, tuple[str, ...]] = {
    short_file: ("x = 1\n" * (FILE_LINES + 1),),
    short_functions: ("def f():\n" + "    x = 1\n" * FUNCTION_LINES + "    return x\n",),
    runs_everywhere: (
        "import fcntl",
        "from os import path\nimport os\nos.fork()",
        "import os\nos.system('ls')",
        "import signal\nsignal.signal(signal.SIGALRM, f)",
        "path.symlink_to(other)",
        "subprocess.run('ls', shell=True)",
        "multiprocessing.get_context('fork')",
    ),
    says_encoding: (
        "open('x')",
        "open('x', 'w')",
        "path.open()",
        "path.read_text()",
        "path.write_text('x')",
        "os.fdopen(3, 'w')",
        "tempfile.NamedTemporaryFile('w')",
    ),
    text_is_never_html: ("widgets.HTML(f'{text}')", "ipywidgets.HTML(text)", "HTML(text)"),
    reads_no_pickle: (
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ),
    is_documented: (
        "def f(): pass",
        '"""A module."""\ndef f(): pass',
        '"""A module."""\nclass C:\n    "A class."\n    def f(self):\n        x = 1\n        return x',
    ),
    letters_of_shapes: ('"""Returns (B, N, D)."""', "x = 1  # (X, T) ids", '"""Returns (Q,)."""'),
    tells_nothing_of_its_making: ("x = '/work" + "/main'",),
}
INNOCENT = {
    says_encoding: "open('x', 'rb'); path.open('wb'); path.read_text(encoding='utf-8'); os.open(p, 0)",
    letters_of_shapes: '"""(B, T, V), (T,), (1, T, D), (I) and a sentence (A)."""',
    reads_no_pickle: "torch.load(path, weights_only=True)",
    is_documented: (
        '"""A module."""\ndef _f(): pass\n'
        'class C(Base):\n    """A class."""\n    def forward(self, x):\n        x = 1\n        return x'
    ),
    runs_everywhere: "subprocess.run(['ls'], shell=False)",
}
