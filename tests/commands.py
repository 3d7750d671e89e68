"""Commands as a person types them, each in a process of its own, which need not import the libraries first.

A server imports them once and forks: to import them takes longer than many a command has to do.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.preload"])


def run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], timeout: float | None
) -> subprocess.CompletedProcess[str]:
    """What `python -m <module> <arguments>` prints and returns, run in the project's folder.

    Raises:
        subprocess.TimeoutExpired: after `timeout` seconds it had not ended, and was killed.
    """
    with TemporaryDirectory() as folder:
        outputs = [Path(folder) / "stdout", Path(folder) / "stderr"]
        process = SERVER.Process(target=_be, args=(module, list(arguments), dict(environment), outputs))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *arguments], timeout or 0)
        stdout, stderr = (path.read_text(encoding="utf-8") for path in outputs)
        return subprocess.CompletedProcess([module, *arguments], process.exitcode, stdout, stderr)


def _be(module: str, arguments: list[str], environment: dict[str, str], outputs: list[Path]) -> None:
    """Become the command: its environment, folder, output and arguments, and its end."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for descriptor, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    for folder in environment.get("PYTHONPATH", "").split(os.pathsep):
        if (customization := Path(folder) / "sitecustomize.py").exists():
            runpy.run_path(str(customization))
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a process that was forked forgets them
