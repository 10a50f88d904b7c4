"""The options that name a model and where it runs. No torch until it is used."""

import argparse
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")


def model_argument() -> argparse.ArgumentParser:
    """Return a parent parser with MODEL: a shipped model's name or a weights file."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "model", metavar="MODEL", help="a shipped model's name (see models), a weights file or its folder"
    )
    return parent


def device_option() -> argparse.ArgumentParser:
    """Return a parent parser with --device."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--device", choices=DEVICES, default="auto", help="auto (default) takes CUDA, then Apple, then CPU"
    )
    return parent


def folder_option(*, required: bool = True) -> argparse.ArgumentParser:
    """Return a parent parser with -o DIR."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=required, help="folder to write to"
    )
    return parent
