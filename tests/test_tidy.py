"""The conventions as tests: sizes, docstrings, imports, words, and what must not be committed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "twins", "analytics", "connectors", "cloud_sync")

LINE_LENGTH_MAX = 100
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
PACKAGE_DEPTH_MAX = 2
BROAD_EXCEPT_PER_1000_LINES_MAX = 0.5

MODULE_LINES_ALLOWED: dict[str, str] = {}
"""Longer modules, each with its reason."""

BROAD_EXCEPT_ALLOWED = {
    "gateway/supervisor.py": "a part that fails must not take the others with it",
    "gateway/pipeline/pipeline.py": "a frame that breaks a stage is set aside, the next ones go on",
    "gateway/cli/__init__.py": "the last resort of the command: a message instead of a traceback",
}

HEAVY = {"sklearn", "skl2onnx", "onnx", "onnxruntime", "PIL", "pyarrow", "influxdb_client"}
"""Never imported at the top of a module: the gateway starts fast and stays small."""

BANNED_NAMES = re.compile(r"(^|_)(manager|helper|helpers|utils|util|misc|handler2)($|_|\.)")


def source_paths() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def all_paths() -> list[Path]:
    return [*source_paths(), *sorted((ROOT / "tests").rglob("*.py"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def tracked_files() -> list[str]:
    answer = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        pytest.skip("not a git checkout: there is no list of tracked files")
    return answer.stdout.splitlines()


@pytest.mark.parametrize("path", all_paths(), ids=relative)
def test_lines_and_functions_are_short(path: Path) -> None:
    """No line over 100 columns, no function over 70 lines, no module over 400."""
    lines = path.read_text(encoding="utf-8").splitlines()
    long = [number for number, line in enumerate(lines, 1) if len(line) > LINE_LENGTH_MAX]
    assert long == []
    sizes = {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in functions(parse(path))
    }
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX} == {}
    if relative(path) not in MODULE_LINES_ALLOWED:
        assert len(lines) <= MODULE_LINES_MAX


def test_packages_are_two_levels_deep() -> None:
    deep = [
        relative(path)
        for path in source_paths()
        if len(path.relative_to(ROOT).parts) - 1 > PACKAGE_DEPTH_MAX
    ]
    assert deep == []


@pytest.mark.parametrize("path", source_paths(), ids=relative)
def test_public_names_have_docstrings(path: Path) -> None:
    tree = parse(path)
    assert ast.get_docstring(tree), "a module says what it is"
    missing = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not is_nested(tree, node)
        and not any(is_overload(decorator) for decorator in node.decorator_list)
    ]
    assert missing == []


def is_nested(tree: ast.Module, node: ast.AST) -> bool:
    return any(node is not outer and node in ast.walk(outer) for outer in functions(tree))


def is_overload(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id == "overload"


@pytest.mark.parametrize("path", source_paths(), ids=relative)
def test_heavy_libraries_are_imported_late(path: Path) -> None:
    tops = [
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in parse(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert {name.split(".")[0] for name in tops} & HEAVY == set()


@pytest.mark.parametrize("path", all_paths(), ids=relative)
def test_names_say_what_they_are(path: Path) -> None:
    assert not BANNED_NAMES.search(relative(path).replace("/", "_"))
    classes = [node.name for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if re.search(r"(Manager|Helper|Utils?)$", name)] == []


def test_broad_excepts_stand_only_where_agreed() -> None:
    """`except Exception` stands in the supervisor, the quarantine and the command's main."""
    broad: dict[str, int] = {}
    line_count = 0
    for path in source_paths():
        line_count += len(path.read_text(encoding="utf-8").splitlines())
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ExceptHandler) and is_broad(node):
                broad[relative(path)] = broad.get(relative(path), 0) + 1
    assert set(broad) - set(BROAD_EXCEPT_ALLOWED) == set()
    assert sum(broad.values()) <= max(3, BROAD_EXCEPT_PER_1000_LINES_MAX * line_count / 1000)


def is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")


def test_ignored_types_give_their_reason() -> None:
    """Where types are ignored, the code and, on the same line, the reason are named."""
    mark = "type: " + "ignore"
    bare = [
        f"{relative(path)}:{number}"
        for path in all_paths()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if mark in line and not re.search(mark + r"\[[a-z-, ]+\]\s+# \S+", line)
    ]
    assert bare == []


def test_no_leftovers() -> None:
    """No note to oneself and no conflict marker is committed."""
    words = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "<" * 7, ">" * 7)))
    found = [
        f"{relative(path)}:{number}"
        for path in all_paths()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert found == []


def test_nothing_tracked_names_a_registry_or_a_machine() -> None:
    host = re.compile(
        "(?<!no-emit-)index-" + r"url|https?://[^\s\"']*/(simple|packages)/|/ho" + r"me/\w+/"
    )
    found = []
    for name in tracked_files():
        path = ROOT / name
        if path.suffix in (".png", ".svg", ".jpg", ".onnx", ".npz") or not path.is_file():
            continue
        if host.search(path.read_text(encoding="utf-8", errors="replace")):
            found.append(name)
    assert found == []


def test_imports_point_down() -> None:
    answer = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
