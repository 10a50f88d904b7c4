"""Packaging: what is said of versions and requirements stands the same everywhere."""

import re
import runpy
import shutil
import tomllib
from pathlib import Path

import pytest
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


@pytest.mark.skipif("urls" in PROJECT, reason="a release, in which the addresses stand already")
def test_a_release_has_the_address_of_its_repository_and_no_relative_link(tmp_path):
    script = runpy.run_path(str(ROOT / "packaging" / "addresses.py"))
    for name in ("pyproject.toml", "README.md", "CITATION.cff", "packaging/conda/recipe.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    address = "https://example.org/somebody/napari-xrf"
    script["write_addresses"](tmp_path, f"{address}/")
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert links
    assert all(link.startswith("https://") for link in links)
    files = [re.split("/(?:blob|raw)/HEAD/", link)[1] for link in links if "/HEAD/" in link]
    assert "docs/images/spectrum.png" in files
    assert not [name for name in files if not (ROOT / name).exists()]
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Repository"] == address
    assert {name: value for name, value in project.items() if name != "urls"} == PROJECT
    citation = yaml.safe_load((tmp_path / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == address
    recipe = yaml.safe_load((tmp_path / "packaging/conda/recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["about"]["repository"] == address
    for wrong in (address, "somebody/napari-xrf"):  # a second time, and no address
        with pytest.raises(SystemExit, match=r"already|no address"):
            script["write_addresses"](tmp_path, wrong)
