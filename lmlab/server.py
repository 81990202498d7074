"""The Jupyter Server extension: it takes the delay off kernel websockets, and lets prose be read in short lines.

A slider moves, the kernel answers with a few small messages, and each of them waits about 40 ms for the
acknowledgement of the one before (Nagle's algorithm against delayed acknowledgements), because Jupyter Server
never asks its sockets not to wait. This extension asks. Everything works without it, more slowly.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

_COMMANDS = Path(__file__).resolve().parent / "commands"
_STYLE = _COMMANDS / "jupyter_settings" / "custom"
_LARGE = _COMMANDS / "jupyter_settings_present" / "custom"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "lmlab.server"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    """Called by Jupyter Server as it starts. Failing here costs 40 ms an update, never the server."""
    try:
        from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

        send_at_once(KernelWebsocketHandler)
    except Exception as error:
        server_app.log.warning("lmlab: kernel websockets keep their delay of about 40 ms (%s)", error)
    offer_style(server_app)


def offer_style(server_app: Any) -> None:
    """Let JupyterLab find our custom.css where LabApp.custom_css asks for one; a user's own comes first.

    Except in a presentation: there the one with large type does.
    """
    places = getattr(getattr(server_app, "web_app", None), "settings", {}).get("static_custom_path")
    if isinstance(places, list) and str(_STYLE) not in places:
        places.append(str(_STYLE))
        if os.environ.get("LMLAB_PRESENT") == "1":
            places.insert(0, str(_LARGE))


def send_at_once(handler: Any) -> None:
    """Wrap ``handler.open``, so that each websocket sets TCP_NODELAY before its first message. Idempotent."""
    opened: Callable[..., Any] = handler.open
    if getattr(opened, "sends_at_once", False):
        return

    @wraps(opened)
    def open_without_delay(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            self.set_nodelay(True)
        except Exception as error:
            self.log.debug("lmlab: this websocket keeps its delay (%s)", error)
        return opened(self, *args, **kwargs)

    open_without_delay.sends_at_once = True  # type: ignore[attr-defined]
    handler.open = open_without_delay
