"""What is promised about the project as a whole: its public surface, its sizes and its wording."""

import os
import re
import subprocess
from pathlib import Path

import pushline

ROOT = Path(__file__).parent.parent

REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|jsdelivr\.net|unpkg\.com"
    r"|(deb|security)\.debian\.org|crates\.io|rubygems\.org|packagist\.org"
)


def project_files() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(
        [*command, "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_the_public_surface_is_this_list() -> None:
    assert pushline.__all__ == [
        *("App", "AppError", "BadClientIdError", "BadMessageError", "BadNameError", "Client"),
        *("Close", "DeadlineError", "Gateway", "HttpError", "PushlineError", "Request", "Sent"),
        *("SyncClient", "SyncGateway", "Timer", "__version__"),
    ]
    assert all(hasattr(pushline, name) for name in pushline.__all__)


def test_the_browser_client_stays_under_5_kilobytes() -> None:
    assert (ROOT / "src/pushline/web/pushline.js").stat().st_size < 5000


def test_no_file_names_a_package_registry() -> None:
    files = project_files()
    assert Path(__file__) in files
    naming = [file for file in files if REGISTRY.search(file.read_text(errors="replace"))]
    assert naming == []


def test_every_script_that_the_readme_names_can_be_started() -> None:
    named = set(re.findall(r"scripts/\w+", (ROOT / "README.md").read_text()))
    assert {"scripts/run", "scripts/test"} <= named
    assert [script for script in named if not os.access(ROOT / script, os.X_OK)] == []
