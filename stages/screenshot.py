"""Pictures of the report as a browser shows it, for a page that links to it.

    python -m stages.screenshot                 # docs/report-overview.png and docs/report-browser.png
    python -m stages.screenshot --out /tmp --dark --width 420

Needs the packages for development (playwright), and Chromium: Debian's package chromium, or
`playwright install chromium`.
"""

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.render.report.sections import browser_link
from stages.layout import REPORT_PAGE

PICTURES = {"overview": "", "browser": browser_link(flip="won")}
HEIGHT = 900


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium, of the system or of Playwright; UserError, with what to install, where there is none."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise UserError("pictures need the package playwright: `make setup` installs it") from None
    options: dict[str, Any] = {"executable_path": shutil.which("chromium")}
    if os.geteuid() == 0:
        options["args"] = ["--no-sandbox"]  # Chromium refuses its sandbox to root
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(**options)
        except Error as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"no Chromium: apt install chromium, or playwright install chromium ({reason})") from None
        try:
            yield browser
        finally:
            browser.close()


@stage_main
def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="the folder (default: %(default)s)")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels (default: %(default)s)")
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    parser.add_argument("--whole", action="store_true", help="the whole page, not only what a window shows")
    args = parser.parse_args()
    if not REPORT_PAGE.is_file():
        raise UserError(f"{REPORT_PAGE}: no such file; `python -m stages.report` writes it")
    args.out.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        window = {"width": args.width, "height": HEIGHT}
        page = browser.new_page(viewport=window, color_scheme="dark" if args.dark else "light")
        for name, link in PICTURES.items():
            page.goto(REPORT_PAGE.resolve().as_uri() + link)
            page.wait_for_selector(".waiting", state="detached")  # the traces are there
            path = args.out / f"report-{name}.png"
            page.screenshot(path=path, full_page=args.whole)
            print(f"{path}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
