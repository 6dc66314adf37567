"""A real headless Chromium, driven through its DevTools protocol: clicks and keys as a user gives them."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio"),
    *("--remote-debugging-port=0", "--hide-scrollbars"),
)
_KEYS = {"Enter": (13, "\r"), " ": (32, " "), "Tab": (9, ""), "ArrowDown": (40, "")}


class Page:
    """A page that is open in the browser.

    Attributes:
        trouble: what scripts threw and what the page's own rules refused, in words.
        requested: addresses asked for, the page's own among them.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.trouble: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path: Path, width: int = 1280, height: int = 900) -> None:
        """Load a file in a window of this size and wait until its scripts have run."""
        self.trouble.clear()
        self.requested.clear()
        self.resize(width, height)
        self._call("Page.navigate", url=path.as_uri())
        self.wait(f"location.href === {json.dumps(path.as_uri())} && performance.timing.loadEventEnd > 0")

    def resize(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as JSON."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not self.value(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element, which must be what lies on top there."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{element}.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}})")
        box = f"{element}.getBoundingClientRect()"
        x, y = self.value(f"(b => [b.left + b.width / 2, b.top + b.height / 2])({box})")
        assert self.value(f"{element}.contains(document.elementFromPoint({x}, {y}))"), f"{selector} is covered"
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        code, text = _KEYS[key]
        known = {"key": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **known)
        self._call("Input.dispatchKeyEvent", type="keyUp", **known)

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, details: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent" and not details["request"]["url"].startswith("data:"):
            self.requested.append(details["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.trouble.append(str(details["exceptionDetails"]))
        elif event == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.trouble.append(details["entry"]["text"])


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """An empty page of a browser of its own, whose profile is in `folder`; skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    websocket = pytest.importorskip("websocket")
    with subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            socket = websocket.create_connection(_address(folder, process), timeout=30, suppress_origin=True)
            with contextlib.closing(socket):
                yield Page(socket)
        finally:
            process.terminate()


def _address(folder: Path, process: "subprocess.Popen[bytes]", seconds: float = 30.0) -> str:
    """Of the first page's socket, once the browser has said at which port it listens."""
    port, end = folder / "DevToolsActivePort", time.monotonic() + seconds
    while not (port.exists() and port.read_text().strip()):
        assert process.poll() is None, "Chromium ended at once"
        assert time.monotonic() < end, "Chromium does not start"
        time.sleep(0.05)
    with urllib.request.urlopen(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list") as answer:
        pages = json.load(answer)
    return next(str(page["webSocketDebuggerUrl"]) for page in pages if page["type"] == "page")
