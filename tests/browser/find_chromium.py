"""Find a Chromium for the browser tests, or install one: `python -m tests.browser.find_chromium`.

Taken, in this order: $LMLAB_CHROMIUM, the system's, Playwright's. Where there is none, root on Debian gets
Debian's package, with fonts for emoji and Chinese; everybody else gets Playwright's download, since Ubuntu's
package is a snap that tests cannot drive.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

from tests.browser.chromium import chromium_path

FONTS = ("fonts-noto-color-emoji", "fonts-noto-cjk")


def main() -> int:
    missing = _missing()
    if missing is not None and not os.environ.get("LMLAB_CHROMIUM"):
        if root_on_debian():
            _apt_install("chromium-headless-shell", *FONTS)
            if _missing() is not None:  # a Debian that does not have it yet
                _apt_install("chromium", *FONTS)
        else:
            _run([sys.executable, "-m", "playwright", "install", "chromium"])
        missing = _missing()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 1
    if not _fonts_there() and root_on_debian():
        _apt_install(*FONTS)
    with sync_playwright() as playwright:
        print(f"browser tests use {chromium_path(playwright)}")
    return 0


def root_on_debian() -> bool:
    """Debian itself: what is like Debian may have put a snap behind the name chromium."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


def _missing() -> str | None:
    """The sentence that says how to get a Chromium, or None where there is one."""
    try:
        with sync_playwright() as playwright:
            chromium_path(playwright)
    except FileNotFoundError as error:
        return str(error)
    return None


def _fonts_there() -> bool:
    """Whether fontconfig knows a font for emoji and one for Chinese; where nobody can tell, the tests will."""
    if shutil.which("fc-list") is None:
        return True
    return all(_run(["fc-list", query], capture=True).strip() for query in (":lang=und-zsye", ":lang=zh-cn"))


def _apt_install(*packages: str) -> None:
    print(f"installing {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-qq"], environment)
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], environment)


def _run(command: list[str], environment: dict[str, str] | None = None, *, capture: bool = False) -> str:
    """Run it; where it fails, go on: what is missing then is said in one sentence at the end."""
    pipe = subprocess.PIPE if capture else None
    done = subprocess.run(command, env=environment, stdout=pipe, text=True, encoding="utf-8", check=False)
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main())
