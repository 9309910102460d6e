"""A picture of the web page with a real result: starts ``headstart serve``, gives it a photo, and saves the page.

    python tools/serve_screenshot.py [--model MODEL] [--photo PHOTO] [--width 1360] [--dark] [--out FILE]

Needs the extra ``web``, playwright and Chromium (/usr/bin/chromium).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import cv2
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PORT = 7899
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> None:
    """Parse, serve, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--photo", type=Path, default=ROOT / "src/headstart/serve/assets/examples/hurdle.jpg")
    parser.add_argument("--width", type=int, default=1360)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "serve.png")
    options = parser.parse_args()
    command = [str(Path(sys.executable).with_name("headstart")), "serve", "--port", str(PORT)]
    command += ["--model", options.model] if options.model else []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().rpartition(" ")[2].strip()
        save(f"{address}?__theme={'dark' if options.dark else 'light'}", options)
    finally:
        server.terminate()
        server.wait()


def save(address: str, options: argparse.Namespace) -> None:
    """The page with the result of the photo."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": options.width, "height": options.height})
        page.goto(address)
        page.wait_for_selector("#hs-viewer .hs-message")
        page.set_input_files("#hs-photo input[type=file]", str(options.photo))
        page.wait_for_selector("#hs-viewer .hs-result:not([hidden])", timeout=120000)
        page.wait_for_timeout(1500)
        page.screenshot(path=str(options.out), full_page=options.width < 700)
        browser.close()
    image = cv2.imread(str(options.out))
    cv2.imwrite(str(options.out), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
