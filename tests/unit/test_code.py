"""Which files a stage runs, found in the text of its modules: nothing of it is kept by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.code import Code, differing, listed
from leverframe.errors import PipelineError, SettingsError


class Tree:
    """Files in memory; ``homes`` are the folders in which Python finds packages."""

    def __init__(self, files: Mapping[str, str], homes: Mapping[str, str] | None = None) -> None:
        self._files, self._homes = files, homes or {}

    def text(self, path: str) -> str | None:
        return self._files.get(path)

    def home(self, package: str) -> str | None:
        return self._homes.get(package)

    def listing(self, folder: str) -> Sequence[str]:
        return sorted(path for path in self._files if path.startswith(f"{folder}/"))


def files_of(files: Mapping[str, str], *entries: str, whole: tuple[str, ...] = ()) -> set[str]:
    """Return the files that modules run in a repository whose imports are looked up in its root and in src."""
    return set(Code(Tree(files), (".", "src"), whole)(*entries))


@pytest.mark.parametrize(
    "statement",
    [
        "import other",
        "import other as o",
        "from other import name",
        "def late():\n    import other",
        "try:\n    import other\nexcept ImportError:\n    pass",
        "if sys.platform == 'linux':\n    import other",
        "if not TYPE_CHECKING:\n    import other",
        "import importlib\nimportlib.import_module('other')",
        "from importlib import import_module as load\ndef late():\n    return load('other')",
        "__import__('other')",
        "import runpy\nrunpy.run_module('other')",
        "import pkgutil\npkgutil.resolve_name('other:name')",
        "from other import *",
    ],
)
def test_every_form_of_import_counts(statement: str) -> None:
    """At the top, within a function, behind a condition."""
    assert files_of({"entry.py": statement, "other.py": "", "unrelated.py": ""}, "entry") == {"entry.py", "other.py"}


@pytest.mark.parametrize("guard", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_what_only_type_checkers_import_does_not_count(guard: str) -> None:
    """It is never run; the other branch is."""
    text = f"if {guard}:\n    import typed\nelse:\n    import run"
    assert files_of({"entry.py": text, "typed.py": "", "run.py": ""}, "entry") == {"entry.py", "run.py"}


def test_imports_of_imports_count_also_in_a_circle() -> None:
    """However long the way is."""
    files = {"a.py": "import b", "b.py": "import c", "c.py": "import a\nimport d", "d.py": "", "e.py": ""}
    assert files_of(files, "a") == {"a.py", "b.py", "c.py", "d.py"}


def test_relative_imports_and_the_packages_around_a_module_count() -> None:
    """A package's own file runs before its modules do, and what it imports with it."""
    files = {
        "case/__init__.py": "from . import shared",
        "case/shared.py": "",
        "case/deep/__init__.py": "",
        "case/deep/sources.py": "from ..knobs import RATE\nfrom . import near",
        "case/deep/near.py": "",
        "case/knobs.py": "",
        "case/other.py": "",
    }
    expected = set(files) - {"case/other.py"}
    assert files_of(files, "case.deep.sources") == expected


@pytest.mark.parametrize(
    "statement",
    [
        "import_module('.near', __package__)",
        "import_module('.near', 'case.deep')",
        "import_module('..deep.near', package='case.deep')",
        "from case.deep import *",
    ],
)
def test_names_within_a_package_count_also_as_texts(statement: str) -> None:
    """Relative to the package that stands beside the name, else to one's own; `import *` takes what is listed."""
    files = {"case/deep/__init__.py": '__all__ = ["near"]', "case/deep/near.py": "", "case/deep/entry.py": statement}
    assert files_of(files, "case.deep.entry") == set(files)


@pytest.mark.parametrize(
    "listing", ['__all__ = ["a", "b"]', '__all__: list[str] = ["a", "b"]', '__all__ = ("a",)\n__all__ += ["b"]']
)
def test_a_list_of_what_a_package_exports_is_read_in_each_form(listing: str) -> None:
    """Also where it grows; names in the list of a module that is no package stand for nothing beside it."""
    files = {"pack/__init__.py": listing, "pack/a.py": "", "pack/b.py": '__all__ = ["c"]', "pack/c.py": ""}
    assert files_of({**files, "entry.py": "from pack import *"}, "entry") == {*files, "entry.py"} - {"pack/c.py"}


def test_a_package_hides_a_module_of_its_name() -> None:
    """As Python has it: the module beside it never runs."""
    files = {"entry.py": "import other.deep", "other.py": "", "other/__init__.py": "", "other/deep.py": ""}
    assert files_of(files, "entry") == set(files) - {"other.py"}


def test_a_package_that_python_finds_elsewhere_in_the_repository_counts() -> None:
    """Installed in place, such as `pip install -e libs/tool`, or a folder of PYTHONPATH; the root comes first."""
    files = {"entry.py": "import tool.deep\nimport mine\nimport polars", "libs/tool/__init__.py": "",
             "libs/tool/deep.py": "import mine", "mine.py": "", "libs/mine.py": ""}  # fmt: skip
    homes = {"tool": "libs", "mine": "libs"}
    assert set(Code(Tree(files, homes))("entry")) == set(files) - {"libs/mine.py"}


def test_what_lies_beside_the_project_counts_by_its_files() -> None:
    """A package that Python finds there, and a folder that is declared: DVC would count caches in one as well."""
    files = {
        "entry.py": "import scaling.steps", "../../libs/scaling/__init__.py": "", "../../libs/scaling/steps.py": "",
        "../../libs/scaling/other.py": "", "../../plugins/one.py": "import scaling.other", "../../plugins/two.csv": "",
    }  # fmt: skip
    code = Code(Tree(files, {"scaling": "../../libs"}))
    package = {"entry.py", "../../libs/scaling/__init__.py", "../../libs/scaling/steps.py"}
    assert set(code("entry")) == package
    declared = {"../../plugins/one.py", "../../plugins/two.csv", "../../libs/scaling/other.py"}
    assert set(code("entry", declared=("../../plugins",))) == package | declared


def test_what_a_case_declares_counts_with_what_it_imports() -> None:
    """A file, a folder of modules that are loaded by name: each as it is declared, and their imports besides."""
    files = {"entry.py": "", "rates.csv": "", "plugins/a.py": "import shared\nfrom . import b", "plugins/b.py": "",
             "shared.py": "import deep", "deep.py": "", "other.py": ""}  # fmt: skip
    paths = Code(Tree(files))("entry", declared=("rates.csv", "plugins"))
    assert set(paths) - {"plugins/b.py"} == {"entry.py", "rates.csv", "plugins", "shared.py", "deep.py"}
    with pytest.raises(SettingsError, match=r"there is no gone\.csv"):
        Code(Tree(files))("entry", declared=("gone.csv",))


def test_a_package_without_its_own_file_and_a_lone_module_are_found() -> None:
    """A user's case needs neither `__init__.py` nor to be importable here."""
    files = {"pipelines/shop/sources.py": "import knobs\nimport polars\nfrom src_side import x", "knobs.py": "",
             "src/src_side.py": ""}  # fmt: skip
    assert files_of(files, "pipelines.shop.sources") == set(files)


@pytest.mark.parametrize("text", ["def (", "a = 1\0"])
def test_a_module_that_cannot_be_parsed_is_a_file_all_the_same(text: str) -> None:
    """Whoever runs it is told what is wrong with it; until then its content counts."""
    assert files_of({"entry.py": "import broken", "broken.py": text}, "entry") == {"entry.py", "broken.py"}


def test_a_package_that_is_imported_as_a_whole_is_listed_by_its_folder() -> None:
    """With all of its files, those that are no modules included; a package in part stays a list."""
    files = {
        "src/tool/__init__.py": "",
        "src/tool/whole/__init__.py": "",
        "src/tool/whole/a.py": "",
        "src/tool/whole/template.yml": "",
        "src/tool/part/__init__.py": "",
        "src/tool/part/a.py": "",
        "src/tool/part/b.py": "",
        "entry.py": "import tool.whole.a\nimport tool.part.a",
    }
    paths = files_of(files, "entry", whole=("src/tool",))
    assert paths == {"entry.py", "src/tool/__init__.py", "src/tool/whole", "src/tool/part/__init__.py",
                     "src/tool/part/a.py"}  # fmt: skip


DEFINITION = "stages:\n  code-build:\n    deps: [case.py, src/tool]\n"


def test_the_files_behind_a_command_are_those_that_its_stage_lists_and_those_within_its_folders() -> None:
    """Each once and in order, so that what is written of them is the same everywhere."""
    tree = Tree({"src/tool/b.py": "", "src/tool/a/c.yml": "", "case.py": "", "other.py": ""})
    assert listed(DEFINITION, "build", tree) == ["case.py", "src/tool/a/c.yml", "src/tool/b.py"]


@pytest.mark.parametrize(
    ("definition", "what"),
    [
        ("stages: {}", "dvc.yaml has no stage `code-build`"),
        ("vars: []", "dvc.yaml has no stage `code-build`"),
        (DEFINITION, "src/tool is missing"),
    ],
)
def test_a_command_without_files_is_refused(definition: str, what: str) -> None:
    """It never writes digests of less than the stages run."""
    with pytest.raises(PipelineError, match=f"^{what}"):
        listed(definition, "build", Tree({"case.py": ""}))


def test_files_that_differ_between_two_lists_of_digests_are_named() -> None:
    """Changed, added and removed; what is no list of digests names nothing."""
    before, now = '{"a.py": "1", "b.py": "2", "c.py": "3"}', '{"a.py": "1", "b.py": "0", "d.py": "4"}'
    assert differing(before, now) == ["b.py", "c.py", "d.py"]
    for damaged in ("", "[]", "7", "<<<<<<< ours"):
        assert differing(before, damaged) == differing(damaged, now) == []


names = st.integers(0, 11).map(lambda number: f"m{number}")


@given(st.dictionaries(names, st.lists(names, max_size=4), min_size=1), names)
def test_the_result_is_what_can_be_reached(graph: dict[str, list[str]], entry: str) -> None:
    """Against a search written down plainly, on drawn graphs of modules."""
    files = {f"{name}.py": "\n".join(f"import {other}" for other in others) for name, others in graph.items()}
    reached, waiting = set[str](), [entry]
    while waiting:
        name = waiting.pop()
        if name in graph and name not in reached:
            reached.add(name)
            waiting += graph[name]
    assert files_of(files, entry) == {f"{name}.py" for name in reached}
