"""What must not happen on a page: console errors, failed requests, dialogs, or a request to anywhere else."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response, WebSocket

# Texts of console errors that are not ours and that do not matter, each with its reason.
ALLOWED: tuple[str, ...] = ()


class Faults:
    """Listens to a page from its first request on; ``found`` is empty on a healthy one."""

    def __init__(self, page: Page, host: str) -> None:
        self.host = host
        self.found: list[str] = []
        self._closing = False
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._note(f"uncaught error: {error.message}\n{error.stack}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)
        page.on("websocket", self._websocket)
        page.on("dialog", lambda dialog: (self._note(f"dialog: {dialog.message}"), dialog.dismiss()))

    def stop(self) -> None:
        """From here on nothing counts: a page that closes cuts its own requests short."""
        self._closing = True

    def _note(self, text: str) -> None:
        if not self._closing and not any(allowed in text for allowed in ALLOWED):
            self.found.append(text)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"console error: {message.text} ({message.location.get('url', '')})")

    def _elsewhere(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme not in ("data", "blob", "about") and parts.netloc != self.host

    def _request(self, request: Request) -> None:
        if self._elsewhere(request.url):
            self._note(f"request to another machine: {request.url}")

    def _websocket(self, websocket: WebSocket) -> None:
        if self._elsewhere(websocket.url):
            self._note(f"websocket to another machine: {websocket.url}")

    def _failed(self, request: Request) -> None:
        self._note(f"request failed: {request.method} {request.url} ({request.failure})")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"answer {response.status}: {response.request.method} {response.url}")
