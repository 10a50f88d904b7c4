"""What the manifest promises and `npe2 validate` does not check."""

import ast
import importlib
import inspect
import tomllib
from pathlib import Path

import pytest
import yaml
from napari.viewer import Viewer
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "src" / "napari_xrf" / "napari.yaml"
RAW = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
CONTRIBUTIONS = RAW["contributions"]
COMMANDS = {command["id"]: command for command in CONTRIBUTIONS["commands"]}


def test_the_manifest_has_the_projects_name_and_is_linked_at_the_top():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert RAW["name"] == project["name"]
    assert project["entry-points"]["napari.manifest"] == {"napari-xrf": "napari_xrf:napari.yaml"}
    assert (ROOT / "napari.yaml").resolve() == MANIFEST


def test_no_key_is_unknown():
    # pydantic drops unknown keys of these two levels without a word.
    assert set(RAW) <= set(PluginManifest.model_fields)
    known = PluginManifest.model_fields["contributions"].annotation.model_fields
    assert set(CONTRIBUTIONS) <= set(known)


def test_every_command_is_declared_once_and_belongs_to_us():
    ids = [command["id"] for command in CONTRIBUTIONS["commands"]]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("napari-xrf.") for name in ids)


@pytest.mark.parametrize("where", ["readers", "writers", "widgets", "sample_data"])
def test_contributions_point_at_declared_commands(where):
    assert {entry["command"] for entry in CONTRIBUTIONS[where]} <= set(COMMANDS)


def test_menus_exist_and_hold_declared_commands():
    from napari._app_model.constants import MenuId

    contributable = {str(menu.value) for menu in MenuId.contributables()}
    submenus = {submenu["id"] for submenu in CONTRIBUTIONS.get("submenus", [])}
    for menu, items in CONTRIBUTIONS["menus"].items():
        assert menu in contributable | submenus, menu
        for item in items:
            assert item.get("command", "napari-xrf.read") in COMMANDS
            assert item.get("submenu") is None or item["submenu"] in submenus


def test_submenus_are_in_menus_and_in_the_order_of_the_docks():
    docks = [entry["command"] for entry in CONTRIBUTIONS["widgets"]]
    items = [item for menu in CONTRIBUTIONS["menus"].values() for item in menu]
    placed = [item["submenu"] for item in items if "submenu" in item]
    assert sorted(placed) == sorted(submenu["id"] for submenu in CONTRIBUTIONS["submenus"])
    for menu in placed:
        items = sorted(CONTRIBUTIONS["menus"][menu], key=lambda item: item["group"])
        order = [docks.index(item["command"]) for item in items if item["command"] in docks]
        assert order == sorted(order)


def test_conditions_are_expressions_of_known_keys():
    from napari._app_model.context._layerlist_context import (
        LayerListContextKeys,
        LayerListSelectionContextKeys,
    )

    known = {name for keys in (LayerListContextKeys, LayerListSelectionContextKeys) for name in keys.__dict__}
    conditions = [command["enablement"] for command in COMMANDS.values() if "enablement" in command]
    conditions += [
        item["when"] for items in CONTRIBUTIONS["menus"].values() for item in items if "when" in item
    ]
    assert conditions
    for condition in conditions:
        names = {
            node.id for node in ast.walk(ast.parse(condition, mode="eval")) if isinstance(node, ast.Name)
        }
        assert names <= known, condition


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_can_be_imported_and_called(command):
    pytest.importorskip("qtpy.QtWidgets")
    module, _, name = COMMANDS[command]["python_name"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_every_widget_is_given_its_viewer():
    for widget in CONTRIBUTIONS["widgets"]:
        module, _, name = COMMANDS[widget["command"]]["python_name"].partition(":")
        target = getattr(importlib.import_module(module), name)
        parameters = inspect.signature(target.__init__, eval_str=True).parameters.values()
        assert Viewer in {parameter.annotation for parameter in parameters}, name


def test_shared_endings_are_claimed_for_our_own_names_only():
    patterns = CONTRIBUTIONS["readers"][0]["filename_patterns"]
    shared = (".tif", ".tiff", ".csv", ".png", ".raw", ".txt", ".xml")
    assert not [pattern for pattern in patterns if pattern in {f"*{ending}" for ending in shared}]
    for writer in CONTRIBUTIONS["writers"]:
        assert not set(writer["filename_extensions"]) & set(shared)


def test_whatever_a_writer_writes_our_reader_is_asked_for():
    from fnmatch import fnmatch

    patterns = CONTRIBUTIONS["readers"][0]["filename_patterns"]
    for writer in CONTRIBUTIONS["writers"]:
        for ending in writer["filename_extensions"]:
            assert any(fnmatch(f"my rock{ending}", pattern) for pattern in patterns), ending


def test_writers_know_the_endings_of_the_manifest():
    from napari_xrf.io.own.region_files import SUFFIX
    from napari_xrf.plugin.writers import LABEL_ENDINGS, MAP_ENDINGS

    endings = {writer["command"]: tuple(writer["filename_extensions"]) for writer in CONTRIBUTIONS["writers"]}
    assert endings == {
        "napari-xrf.write_labels": LABEL_ENDINGS,
        "napari-xrf.write_images": MAP_ENDINGS,
        "napari-xrf.write_shapes": (SUFFIX,),
    }
