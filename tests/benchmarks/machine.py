"""On what the figures were taken: a figure without it means nothing."""

import datetime
import os
import platform
import shutil
import ssl
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .server import find_program

PACKAGES = (
    *("miniasgi", "uvicorn", "granian", "gunicorn", "hypercorn"),
    *("uvloop", "httptools", "h11", "starlette", "fastapi", "servestatic", "websockets", "wsproto"),
)


def describe() -> dict[str, object]:
    """Date, processor, kernel, Python, the versions of what is compared, and what else the machine is doing."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "wrk": _wrk_version(),
        "packages": _versions(),
        "load_average_at_start": os.getloadavg()[0],
    }


def cpu_model() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(models, platform.machine())


def _versions() -> dict[str, str]:
    installed = {name: _version(name) for name in PACKAGES} | {
        "openssl": ssl.OPENSSL_VERSION.split()[1],
        "nginx": _nginx_version(),
    }
    return {name: found for name, found in installed.items() if found}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _wrk_version() -> str | None:
    if not shutil.which("wrk"):
        return None
    # wrk has no option that ends well after printing its version.
    output = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return output.partition("[")[0].removeprefix("wrk").strip()


def _nginx_version() -> str | None:
    if not (program := find_program("nginx")):
        return None
    output = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr
    return output.strip().rpartition("/")[2] or None
