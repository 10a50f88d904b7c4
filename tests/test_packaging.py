"""Packaging: what is said of versions and requirements stands the same everywhere."""

import re
import tomllib
from pathlib import Path

import yaml

from napari_xrf.core.version import VERSION

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What conda-forge calls otherwise.
_CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    asked = {tuple(line.split()) for line in recipe["requirements"]["run"]}
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["networks"]]  # conda has no extras
    wanted = {tuple(re.match(r"([\w-]+)(?:\[\w+\])?(.+)", line).groups()) for line in lines}
    wanted = {(_CONDA.get(name, name), versions) for name, versions in wanted}
    assert asked == wanted | {("python", PROJECT["requires-python"])}
    assert recipe["context"]["version"] == PROJECT["version"] == VERSION


def test_the_citation_names_the_version_and_the_authors():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_the_workflow_runs_every_python_that_the_package_names():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    named = {line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert named <= set(workflow["jobs"]["matrix"]["strategy"]["matrix"]["python"])
