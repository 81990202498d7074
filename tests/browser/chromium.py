"""The browser of a test run: headless, fresh, and unable to find any machine but this one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Playwright, ViewportSize, expect

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # a CDN fails at once, and so the test
]
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
SYSTEMS = ("chromium-headless-shell", "chromium")
MISSING = (
    "No Chromium for the browser tests. Set LMLAB_CHROMIUM to one, or install it: "
    "`apt-get install chromium-headless-shell fonts-noto-color-emoji fonts-noto-cjk`, or `playwright install chromium`."
)


def chromium_path(playwright: Playwright) -> str:
    """$LMLAB_CHROMIUM, else the system's, else the one that Playwright downloaded.

    Of the system's the one without windows comes first: the same engine for a sixth less of the processor."""
    named = os.environ.get("LMLAB_CHROMIUM")
    if named:
        if not Path(named).is_file():
            raise FileNotFoundError(f"LMLAB_CHROMIUM names {named}, and no file is there.")
        return named
    # /snap and Ubuntu's /usr/bin/chromium-browser, a door to it, keep tests out: only real ones are taken.
    for found in (*map(shutil.which, SYSTEMS), playwright.chromium.executable_path):
        if found and Path(found).is_file() and "/snap/" not in str(Path(found).resolve()):
            return found
    raise FileNotFoundError(MISSING)


def launch(playwright: Playwright) -> Browser:
    """A fresh headless Chromium."""
    return playwright.chromium.launch(executable_path=chromium_path(playwright), args=FLAGS)


def new_context(browser: Browser) -> BrowserContext:
    """One profile for all notebooks of a run, so that JupyterLab's own files are read once."""
    context = browser.new_context(
        viewport=VIEWPORT,
        locale="en-US",
        reduced_motion="reduce",  # a photograph never catches a bar on its way
        service_workers="block",
    )
    context.set_default_timeout(30_000)
    expect.set_options(timeout=15_000)  # a busy machine is slow, not wrong; speed is measured elsewhere
    return context
