"""Annotated source becomes code and a search space, and nothing else of it changes."""

from __future__ import annotations

import json
import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni import trial as api
from nni.annotation import AnnotatedSource, AnnotationError
from nni.trial import annotated

SAMPLINGS = {
    "nni.choice(0.1, 'relu', -3, True, None)": {"_type": "choice", "_value": [0.1, "relu", -3, True, None]},
    "nni.choice([1, 2, 3])": {"_type": "choice", "_value": [1, 2, 3]},
    "nni.choice(2 ** 4, 2**5, 1e-3 * 10)": {"_type": "choice", "_value": [16, 32, 0.01]},
    "nni.randint(0, 9)": {"_type": "randint", "_value": [0, 9]},
    "nni.uniform(0, 1)": {"_type": "uniform", "_value": [0, 1]},
    "nni.uniform(low=-1.5, high=1)": {"_type": "uniform", "_value": [-1.5, 1]},
    "nni.quniform(2, 10, 5)": {"_type": "quniform", "_value": [2, 10, 5]},
    "nni.loguniform(1e-5, 0.1)": {"_type": "loguniform", "_value": [1e-5, 0.1]},
    "nni.qloguniform(1, 1000, 1)": {"_type": "qloguniform", "_value": [1, 1000, 1]},
    "nni.normal(0, 1)": {"_type": "normal", "_value": [0, 1]},
    "nni.qnormal(0, 4, 0.5)": {"_type": "qnormal", "_value": [0, 4, 0.5]},
    "nni.lognormal(0, 1)": {"_type": "lognormal", "_value": [0, 1]},
    "nni.qlognormal(0, 1, q=1)": {"_type": "qlognormal", "_value": [0, 1, 1]},
}


def converted(text: str) -> tuple[AnnotatedSource, str]:
    source = AnnotatedSource(textwrap.dedent(text).encode(), "trial.py")
    keys = {place: variable.name for place, variable in enumerate(source.variables)}
    return source, source.rewritten(keys).decode()


@pytest.fixture
def as_trial(monkeypatch):
    """Run converted code with a configuration; return its variables and what it reported."""

    def run(text: str, configuration: dict) -> tuple[dict, list]:
        reports = []
        monkeypatch.setattr(api, "_current", json.loads(json.dumps(configuration)))
        monkeypatch.setattr(annotated, "report_intermediate_result", lambda metric: reports.append(("step", metric)))
        monkeypatch.setattr(annotated, "report_final_result", lambda metric: reports.append(("final", metric)))
        variables: dict = {"__name__": "trial"}
        exec(compile(converted(text)[1], "trial.py", "exec"), variables)
        return variables, reports

    return run


def problems(text: str) -> list[str]:
    with pytest.raises(AnnotationError) as caught:
        converted(text)
    return [str(problem) for problem in caught.value.problems]


# ---------------------------------------------------------------------------------------- variables


@pytest.mark.parametrize(("sampling", "entry"), SAMPLINGS.items())
def test_every_sampling_function_becomes_its_entry_of_the_search_space(sampling, entry):
    source, _ = converted(f"'''@nni.variable({sampling}, name=x)'''\nx = 1\n")
    assert [(variable.name, variable.entry) for variable in source.variables] == [("x", entry)]


def test_only_the_right_hand_side_is_replaced(as_trial):
    variables, _ = as_trial("'''@nni.variable(nni.uniform(0, 1), name=x)'''\nx = 1 / 0\ny = x\n", {"x": 0.25})
    assert variables["y"] == 0.25


@pytest.mark.parametrize(
    ("target", "statement"),
    [
        ("self.rate", "self.rate = 1"),
        ("table['a']", 'table["a"] = 1'),
        ("x", "x: float = 1"),
        ("x", "y = x = 1"),
        ("'x'", "x = 1"),
        ("x", "x = (\n    1 +\n    2)"),
    ],
)
def test_targets_of_every_kind_are_recognised(target, statement):
    _, text = converted(f'"""@nni.variable(nni.choice(1, 2), name={target})"""\n{statement}\n')
    assert "__nni__.value(" in text
    compile(text, "trial.py", "exec")


def test_options_that_are_no_constants_are_chosen_by_their_text_and_evaluated_alone(as_trial):
    text = """
        def failing():
            raise RuntimeError
        '''@nni.variable(nni.choice(len, (3, 3), failing(), "len"), name=x)'''
        x = len
    """
    source, _ = converted(text)
    assert source.variables[0].entry["_value"] == ["len", "(3, 3)", "failing()", "'len'"]
    assert as_trial(text, {"x": "(3, 3)"})[0]["x"] == (3, 3)
    assert as_trial(text, {"x": "len"})[0]["x"] is len
    assert as_trial(text, {"x": "'len'"})[0]["x"] == "len"


def test_options_may_be_sampled_themselves(as_trial):
    text = """
        '''@nni.variable(nni.choice(2 * nni.uniform(0, 1) + nni.uniform(0, 1), nni.choice(7, 8), 5), name=x)'''
        x = 1
    """
    uniform = {"_type": "uniform", "_value": [0, 1]}
    assert converted(text)[0].variables[0].entry == {
        "_type": "choice",
        "_value": [
            {
                "_name": "2 * nni.uniform(0, 1) + nni.uniform(0, 1)",
                "nni.uniform(0, 1)": uniform,
                "nni.uniform(0, 1) #2": uniform,
            },
            {"_name": "nni.choice(7, 8)", "nni.choice(7, 8)": {"_type": "choice", "_value": [7, 8]}},
            {"_name": "5"},
        ],
    }
    sums = {"_name": "2 * nni.uniform(0, 1) + nni.uniform(0, 1)", "nni.uniform(0, 1)": 0.5, "nni.uniform(0, 1) #2": 4}
    assert as_trial(text, {"x": sums})[0]["x"] == 5.0
    assert as_trial(text, {"x": {"_name": "nni.choice(7, 8)", "nni.choice(7, 8)": 8}})[0]["x"] == 8
    assert as_trial(text, {"x": {"_name": "5"}})[0]["x"] == 5


# ---------------------------------------------------------------------------------------- functions

POOLS = '''
def max_pool(*args): return ("max", *args)
def avg_pool(*args): return ("avg", *args)
class Net:
    size = 2
    """@nni.function_choice(max_pool(1, size), avg_pool(2, max_pool(3)), name=max_pool)"""
    h = [max_pool(0), avg_pool(max_pool(max_pool(0)))]
'''


def test_the_call_of_the_function_is_replaced_wherever_it_stands(as_trial):
    source, _ = converted(POOLS)
    values = ["max_pool(1, size)", "avg_pool(2, max_pool(3))"]
    assert [(v.name, v.entry) for v in source.variables] == [("max_pool", {"_type": "choice", "_value": values})]
    assert as_trial(POOLS, {"max_pool": values[0]})[0]["Net"].h == [("max", 1, 2), ("avg", ("max", 1, 2))]
    assert as_trial(POOLS, {"max_pool": values[1]})[0]["Net"].h[0] == ("avg", 2, ("max", 3))


def test_arguments_of_functions_may_be_sampled(as_trial):
    text = POOLS.replace("(1, size)", "(nni.randint(1, 9))")
    assert converted(text)[0].variables[0].entry["_value"][0] == {
        "_name": "max_pool(nni.randint(1, 9))",
        "nni.randint(1, 9)": {"_type": "randint", "_value": [1, 9]},
    }
    chosen = {"_name": "max_pool(nni.randint(1, 9))", "nni.randint(1, 9)": 4}
    assert as_trial(text, {"max_pool": chosen})[0]["Net"].h[0] == ("max", 4)


def test_several_annotations_may_stand_above_one_statement(as_trial):
    text = """
        def f(x): return x
        def g(x): return -x
        '''@nni.function_choice(f(1), g(1), name=f)'''
        '''@nni.function_choice(g(2), f(2), name=g)'''
        x = [f(0), g(0)]
    """
    assert as_trial(text, {"f": "g(1)", "g": "f(2)"})[0]["x"] == [-1, 2]


# ---------------------------------------------------------------------------------------- reports


def test_reports_become_calls_at_their_lines(as_trial):
    text = '''
        for step in range(2):
            if step: """@nni.report_intermediate_result({"default": step, "s": "it's"})"""
            else:
                \'\'\'
                @nni.report_intermediate_result(
                    step)
                \'\'\'
        """@nni.report_final_result(step)"""; last = step
    '''
    variables, reports = as_trial(text, {})
    assert reports == [("step", 0), ("step", {"default": 1, "s": "it's"}), ("final", 1)]
    assert variables["last"] == 1


def test_the_configuration_may_be_fetched_where_the_code_wants(as_trial):
    for form in ("@nni.get_next_parameter()", "@nni.get_next_parameter"):
        assert as_trial(f"'''{form}'''\nx = 1", {})[0]["x"] == 1


# ---------------------------------------------------------------------------------------- what stays


LINES = st.sampled_from(
    [
        "é = 'ü'  # \x0c form feed",
        "y = '''a\nb'''",
        "if True: z = [1,\n  2]",
        "'''@nni.variable(nni.choice(1, 2),\n  name=x)'''\nx = 3  # é",
        '"""@nni.variable(nni.uniform(0, 1), name=x)"""; x = {\n "é": 1,\n} ; w = 0',
        "def f():\n\t'''@nni.report_final_result(\n1)'''\n\treturn \"@nni.no\"",
        "'''@nni.report_intermediate_result(\n\n1)'''; v = 1",
        "",
    ]
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_lines_keep_their_numbers_and_everything_else_its_bytes(blocks, end, finished, is_utf8):
    encoding = "utf-8" if is_utf8 else "latin-1"
    text = end.join([f"# coding: {encoding}", *(block.replace("\n", end) for block in blocks)]) + end * finished
    source = AnnotatedSource(text.encode(encoding), "trial.py")
    new = source.rewritten(dict.fromkeys(range(len(source.variables)), "x"))
    compile(new, "trial.py", "exec")
    old_lines, new_lines = text.split(end), new.decode(encoding).split(end)
    assert len(new_lines) == len(old_lines)
    line = 1
    for block in blocks:
        size = block.count("\n") + 1
        if "@nni." not in block:
            assert new_lines[line : line + size] == old_lines[line : line + size]
        line += size
    if not source.is_annotated:
        assert new == text.encode(encoding)
    assert "@nni.v" not in new.decode(encoding)
    assert "@nni.r" not in new.decode(encoding)


def test_a_byte_order_mark_stays():
    raw = b"\xef\xbb\xbf'''@nni.variable(nni.choice(1, 2), name=x)'''\r\nx = 3\r\n"
    assert AnnotatedSource(raw, "trial.py").rewritten({0: "x"}) == (
        b"\xef\xbb\xbfimport nni.trial.annotated as __nni__\r\nx = __nni__.value('x')\r\n"
    )


def test_a_traceback_of_the_converted_code_names_the_line_of_the_original(as_trial):
    text = "'''@nni.variable(nni.choice(1,\n 2),\n name=x)'''\nx = [\n1]\nraise RuntimeError\n"
    with pytest.raises(RuntimeError) as caught:
        as_trial(text, {"x": 1})
    assert caught.traceback[-1].lineno + 1 == 6


def test_the_original_runs_without_nni():
    text = "'''@nni.variable(nni.choice(1, 2), name=x)'''\nx = 3\n'''@nni.report_final_result(x)'''\n"
    variables: dict = {}
    exec(compile(text, "trial.py", "exec"), variables)
    assert variables["x"] == 3


# ---------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "@nni.variable(nni.choice(1, 2), name=x)'''\ny = 1",
            "next statement must be an assignment to x .* found: y = 1",
        ),
        ("@nni.variable(nni.choice(1, 2), name=x)'''\nx += 1", "next statement must be an assignment to x"),
        ("@nni.variable(nni.choice(1, 2), name=x)'''", "expected an assignment to x after it, but the block ends"),
        ("@nni.variable(nni.choice(1, 2) name=x)'''\nx = 1", "not valid Python"),
        ("@nni.variable(nni.choice(1, 2))'''\nx = 1", r"expected @nni.variable\(nni.choice\(...\), name=variable\)"),
        ("@nni.variable(nni.choice(1, 2), nam=x)'''\nx = 1", r"got nam= in it"),
        ("@nni.variable(choice(1, 2), name=x)'''\nx = 1", r"such as nni.choice\(1, 2\), got choice\(1, 2\)"),
        ("@nni.variable(nni.unifrom(1, 2), name=x)'''\nx = 1", "no nni.unifrom .* did you mean nni.uniform"),
        ("@nni.variable(nni.uniform(1), name=x)'''\nx = 1", r"expected nni.uniform\(low, high\), got nni.uniform\(1\)"),
        ("@nni.variable(nni.uniform(1, 2, 3), name=x)'''\nx = 1", r"expected nni.uniform\(low, high\)"),
        ("@nni.variable(nni.uniform(0, high=y), name=x)'''\nx = 1", "high must be a number that is written out, got y"),
        ("@nni.variable(nni.uniform(0, hi=1), name=x)'''\nx = 1", r"expected nni.uniform\(low, high\)"),
        ("@nni.variable(nni.choice(), name=x)'''\nx = 1", "at least one option"),
        ("@nni.variable(nni.choice(*y), name=x)'''\nx = 1", "written out, got one with a star"),
        ("@nni.variable(nni.choice(f, f), name=x)'''\nx = 1", "two options are the same: f"),
        ("@nni.function_choice(f, g(1), name=f)'''\nx = f()", "must be a complete call, got f"),
        ("@nni.function_choice(f(1), g(1), name=f)'''\nx = g(1)", "an assignment with a call of f "),
        ("@nni.function_choice(f(1), g(1), name=f)'''\nif f(1): pass", "an assignment with a call of f "),
        ("@nni.function_choice(name=f)'''\nx = f()", r"expected @nni.function_choice"),
        ("@nni.varable(nni.choice(1, 2), name=x)'''\nx = 1", r"no annotation @nni.varable; did you mean @nni.variable"),
        ("@nni.report_final_result'''", "with arguments in parentheses"),
    ],
)
def test_a_mistake_is_told_with_its_line(text, says):
    [problem] = problems(f"import os\n'''{text}\n")
    assert problem.startswith("trial.py:2: ")
    assert re.search(says, problem), problem


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order():
    text = """
        def f():
            '''@nni.variable(nni.choice(1, 2), name=x)'''
        '''@nni.variable(nni.choose(1, 2), name=x)'''
        x = 1
    """
    assert [problem.partition(": ")[0] for problem in problems(text)] == ["trial.py:3", "trial.py:4"]


def test_two_annotations_of_the_same_place_are_refused():
    text = "'''@nni.variable(nni.choice(1, 2), name=x)'''\n'''@nni.function_choice(f(1), f(2), name=f)'''\nx = f(0)\n"
    assert "trial.py:2: another annotation changes the same part of: x = f(0)" in problems(text)[0]


def test_a_file_that_is_no_python_is_told_with_its_line():
    assert problems("'''@nni.report_final_result(1)'''\nprint 3\n")[0].startswith("trial.py:2: has annotations, and is")


def test_a_configuration_that_does_not_fit_is_an_error_that_names_the_variable(as_trial):
    text = "'''@nni.variable(nni.choice(len, abs), name=x)'''\nx = len\n"
    with pytest.raises(Exception, match="x: 'max' is none of the annotated options"):
        as_trial(text, {"x": "max"})
    with pytest.raises(Exception, match="no value for the annotated x"):
        as_trial(text, {"y": 1})
