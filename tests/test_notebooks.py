"""Notebooks as files: one normal form, made by one function; and the labs themselves, read as text."""

import ast
import builtins
import copy
import dis
import json
import re
import runpy
import types
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lmlab.exercises.registry import LABS as EXERCISES
from lmlab.exercises.registry import exercises
from lmlab.notebooks import check, clean, cleaned, run

ROOT = Path(__file__).parents[1]
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
SOLUTIONS = ROOT / "tests" / "labs" / "solutions"


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def free_names(node: ast.AST) -> set[str]:
    """What a function or lambda looks up when it is called."""
    if not isinstance(node, ast.Lambda | ast.FunctionDef):
        return set()
    inside = list(ast.walk(node))
    own = {n.arg for n in inside if isinstance(n, ast.arg)} | {n.id for n in inside if is_stored(n)}
    return {n.id for n in inside if isinstance(n, ast.Name)} - own


def prose_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]


def messy() -> nbformat.NotebookNode:
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "NextToken: 62 %"}
    code = new_code_cell(
        "w   ",
        execution_count=7,
        outputs=[
            new_output("stream", name="stdout", text="a"),
            new_output("stream", name="stdout", text="b\n"),
            new_output("execute_result", data=widget, execution_count=7),
            new_output("display_data", data={"application/vnd.plotly.v1+json": {"data": []}}),
        ],
        metadata={"execution": {"iopub.status.busy": "2026-01-01"}, "collapsed": True},
    )
    notebook = new_notebook(cells=[new_markdown_cell("two\\\nlines"), code, new_code_cell("x = 1")])
    notebook.metadata = {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": "5 MB"}}, "foo": 1}
    notebook.cells[2].id = notebook.cells[1].id
    return notebook


# ---------------------------------------------------------------- the normal form


def test_cleaning_keeps_text_and_drops_state():
    notebook = cleaned(messy())
    first, second = notebook.cells[1:]
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert first.source == "w"
    assert [o.output_type for o in first.outputs] == ["stream", "execute_result"]
    assert first.outputs[0].text == "ab\n"
    assert first.outputs[1].data == {"text/plain": "NextToken: 62 %"}
    assert first.outputs[1].execution_count == 1
    assert first.metadata == {}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    nbformat.validate(notebook)


def test_cleaning_twice_changes_nothing_and_leaves_its_input():
    notebook = messy()
    before = copy.deepcopy(notebook)
    once = cleaned(notebook)
    assert notebook == before
    assert cleaned(once) == once


def test_cell_ids_stay_and_a_repeated_one_is_replaced():
    notebook = messy()
    ids = [cell.id for cell in cleaned(notebook).cells]
    assert ids[:2] == [cell.id for cell in notebook.cells[:2]]
    assert len(set(ids)) == 3
    assert ids == [cell.id for cell in cleaned(notebook).cells]


def test_what_is_not_compared_is_not_stored():
    notebook = messy()
    notebook.cells[1].metadata.tags = ["nbval-ignore-output"]
    assert cleaned(notebook).cells[1].outputs == []
    assert cleaned(notebook).cells[1].metadata == {"tags": ["nbval-ignore-output"]}


def test_clean_writes_once_and_says_so(tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(messy(), path)
    assert check([path]) == [f"a.ipynb: not in normal form; run `lmlab labs clean {path}`"]
    assert clean([path]) == ["a.ipynb: cleaned"]
    text = path.read_bytes()
    assert clean([path]) == []
    assert path.read_bytes() == text
    assert check([path]) == []


def test_check_names_what_is_amiss(tmp_path):
    path = tmp_path / "a.ipynb"
    error = new_output("error", ename="NameError", evalue="x", traceback=[])
    huge = new_output("stream", name="stdout", text="x" * 250_000)
    cells = [
        new_markdown_cell("word " * 121),
        new_code_cell("\n".join(f"x{i} = {i}" for i in range(13)), outputs=[error, huge]),
        new_code_cell("x", metadata={"tags": ["nbval-ignore-output"]}),
    ]
    nbformat.write(cleaned(new_notebook(cells=cells)), path)
    said = "\n".join(check([path]))
    for part in (
        "121 words of prose",
        "13 lines of code",
        "stopped with NameError",
        "doctor's table",
        "(the largest is cell 1)",
    ):
        assert part in said, part


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read as a notebook"):
        clean([path])
    with pytest.raises(ValueError, match="there is no notebook"):
        clean([tmp_path / "missing.ipynb"])


@pytest.mark.slow
def test_run_stores_outputs_in_an_empty_home_and_keeps_a_notebook_that_fails(tmp_path):
    path = tmp_path / "a.ipynb"
    source = "import os\nfrom pathlib import Path\nprint(sorted(os.listdir(os.environ['LMLAB_HOME'])), Path.cwd().name)"
    nbformat.write(new_notebook(cells=[new_code_cell(source), new_code_cell("1 + 1")]), path)
    assert run([path]) == ["a.ipynb: 2 cells run"]
    first, second = nbformat.read(path, 4).cells
    assert first.outputs[0].text == f"[] {tmp_path.name}\n"
    assert second.outputs[0].data["text/plain"] == "2"
    assert check([path]) == []

    nbformat.write(new_notebook(cells=[new_code_cell("print('before')\n1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match=r"a\.ipynb stopped with ZeroDivisionError: division by zero"):
        run([path])
    assert path.read_bytes() == before


# ---------------------------------------------------------------- the labs


@pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
def test_lab_is_in_normal_form_and_keeps_its_measures(path):
    assert check([path]) == []


@pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
def test_lab_has_the_parts_of_a_lab_page(path):
    prose, code = prose_of(path), "\n".join(code_of(path))
    number = int(path.stem[:2])
    assert re.match(rf"# {number} · .+\n\n\*.+\?\*\n\n\| ", prose[0]), "title, question, map"
    text = "\n".join(prose)
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings[-3:][-2:] == ["What real systems do", "In three lines"]
    assert "Your turn" in headings
    three = next(cell for cell in prose if cell.startswith("## In three lines"))
    assert len(three.removeprefix("## In three lines").strip().splitlines()) == 3
    assert "lab.widgets.Prediction(" in code
    assert "lab.check(" in code
    assert not re.search(r"\bsimply\b", text, re.I)
    assert "!" not in re.sub(r"!=|!\[", "", text)


@pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
def test_no_later_cell_takes_a_name_from_an_answer_that_is_computed_when_somebody_guesses(path):
    sources = code_of(path)
    for i, source in enumerate(sources):
        if "lab.widgets.Prediction(" not in source:
            continue
        late = set().union(*(free_names(node) for node in ast.walk(ast.parse(source))))
        for later in sources[i + 1 :]:
            taken = {node.id for node in ast.walk(ast.parse(later)) if is_stored(node)}
            assert not late & taken, source


@pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
def test_lab_stores_an_output_for_every_cell_that_shows_something(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code" or "nbval-ignore-output" in cell.metadata.get("tags", []):
            continue
        last = ast.parse(cell.source).body[-1]
        shows = isinstance(last, ast.Expr) or "print(" in cell.source
        assert bool(cell.outputs) == shows, cell.source


@pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
def test_links_of_a_lab_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", "\n".join(prose_of(path))):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_table_of_contents_names_seventeen_labs_and_every_notebook():
    text = (ROOT / "labs" / "README.md").read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r"^\| \[?(\d+) · ", text, re.M)] == list(range(17))
    assert sorted(re.findall(r"\]\(([\w.]+\.ipynb)\)", text)) == [path.name for path in LABS]


def test_exercises_of_notebooks_registry_and_solutions_agree():
    asked = {path.stem: re.findall(r'lab\.check\("([\w.]+)"', "\n".join(code_of(path))) for path in LABS}
    known = {notebook: [e.id for e in exercises(file)] for file, notebook in EXERCISES.items()}
    assert asked == known
    for path in LABS:
        solved = runpy.run_path(str(SOLUTIONS / f"{path.stem[:2]}.py"))
        assert sorted(solved["RIGHT"]) == sorted(solved["WRONG"]) == sorted(asked[path.stem])
        for id, function in solved["RIGHT"].items():
            assert f"def {function.__name__}(" in "\n".join(code_of(path)), (
                f"{id} is a function of that name in the lab"
            )


def test_prediction_ids_are_the_labs_own_and_used_once():
    ids = [id for path in LABS for id in re.findall(r'Prediction\(\s*"([\w.]+)"', "\n".join(code_of(path)))]
    assert len(set(ids)) == len(ids) >= 4
    assert all(id.split(".")[0] in EXERCISES for id in ids)


def test_no_solution_is_in_the_package():
    package = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "lmlab").rglob("*.py"))
    for path in SOLUTIONS.glob("*.py"):
        for function in runpy.run_path(str(path))["RIGHT"].values():
            assert f"def {function.__name__}(" not in package


# ---------------------------------------------------------------- solved, from top to bottom


def solved(path: Path) -> nbformat.NotebookNode:
    """The lab with its stubs replaced by the right answers."""
    source = (SOLUTIONS / f"{path.stem[:2]}.py").read_text(encoding="utf-8")
    answers = {
        f.name: ast.get_source_segment(source, f) for f in ast.parse(source).body if isinstance(f, ast.FunctionDef)
    }
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for stub in re.findall(r"^def (my_\w+)\(.*\):\n    \.\.\.\n", cell.source, re.M):
                cell.source = re.sub(
                    rf"def {stub}\(.*\):\n    \.\.\.\n", lambda _, s=stub: answers[s] + "\n", cell.source
                )
    return notebook


@pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
def test_a_right_answer_needs_nothing_but_what_its_lab_has(path):
    known = {name.id for name in ast.walk(ast.parse("\n".join(code_of(path)))) if isinstance(name, ast.Name)}
    for node in ast.walk(ast.parse("\n".join(code_of(path)))):
        known |= {a.asname or a.name for a in getattr(node, "names", ()) if isinstance(a, ast.alias)}
        known |= {node.name} if isinstance(node, ast.FunctionDef) else set()
    for function in runpy.run_path(str(SOLUTIONS / f"{path.stem[:2]}.py"))["RIGHT"].values():
        assert global_names(function.__code__) - set(dir(builtins)) <= known, function.__name__


def global_names(code: types.CodeType) -> set[str]:
    """The names that a function looks up outside itself, those of the functions within it included."""
    within = (c for c in code.co_consts if isinstance(c, types.CodeType))
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return own.union(*map(global_names, within))


# The checks meet every right answer in tests/exercises; here one lab runs, all by `make by-hand`.
@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem.startswith("02") else pytest.mark.by_hand) for path in LABS],
    ids=lambda p: p.stem,
)
def test_lab_with_its_right_answers_passes_every_check(path, tmp_path):
    target = tmp_path / path.name
    nbformat.write(solved(path), target)
    run([target])
    results = [
        "".join(output.data["text/plain"])
        for cell in nbformat.read(target, 4).cells
        if cell.cell_type == "code" and "lab.check(" in cell.source
        for output in cell.outputs
    ]
    assert len(results) == len(re.findall(r"lab\.check\(", "\n".join(code_of(path))))
    for result in results:
        assert re.match(r"(\d+) of \1 checks passed\n", result), result
    assert "widget-view" not in json.dumps(nbformat.read(target, 4))
