"""A real browser without a screen, and a report in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pmxcfs_lab.eventually import eventually
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

WITHIN_S = 30.0
WIDTH_PX, HEIGHT_PX = 1280, 1600

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # without a network, as promised
    f"--window-size={WIDTH_PX},{HEIGHT_PX}",
)

TOOLTIP = r"""
const parts = (node) => [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes];
const tips = (node) => node.classList?.contains("bk-Tooltip") ? [node] : parts(node).flatMap(tips);
const text = (node) => {
  if (node.nodeName === "STYLE") return "";
  return node.nodeType === Node.TEXT_NODE ? node.data : parts(node).map(text).join(" ");
};
return tips(document.body).map(text).join(" ").replace(/\s+/g, " ").trim();
"""
"""The text of what hovers over a plot; plots live in shadow trees."""


class Page:
    """A report that is open."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, path: Path, *, query: str = "", chosen: str = "") -> None:
        """Load the page and wait until its plots are drawn; `chosen` is what follows the #."""
        self._driver.get("about:blank")
        self._driver.get(f"file://{path}{query}{'#' + chosen if chosen else ''}")
        eventually(self._is_ready, within_s=WITHIN_S)

    def _is_ready(self) -> None:
        state = self.ask("return Object.assign({}, document.documentElement.dataset)")
        assert "error" not in state, state
        assert state.get("ready") == "yes", state

    def ask(self, script: str) -> Any:  # noqa: ANN401  # whatever the page says
        """Return what a piece of JavaScript returns."""
        return self._driver.execute_script(script)

    def find(self, css: str) -> WebElement:
        """Return the first such element."""
        return self._driver.find_element(By.CSS_SELECTOR, css)

    def choose(self, name: str, option: str) -> None:
        """Choose in one of the lists above the plots."""
        Select(self.find(f"select[name={name}]")).select_by_visible_text(option)

    @property
    def shown(self) -> str:
        """How many marks the page says it shows."""
        return self.find("#shown").text

    @property
    def times(self) -> tuple[float, float]:
        """The times that the plots show."""
        start, end = self.ask("return [page.x.start, page.x.end]")
        return start, end

    @property
    def address(self) -> str:
        """What follows the # in the address."""
        return str(self.ask("return decodeURIComponent(location.hash.slice(1))"))

    def marks(self, result: int) -> int:
        """Return how many calls with this result are drawn."""
        return int(self.ask(f"return page.find('view-{result}').indices.length"))

    def complaints(self) -> list[str]:
        """Return the errors that the browser has seen since the last call."""
        entries = self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def drag(self, plot: str, part_from: float, part_to: float) -> None:
        """Drag over a plot, from one part of its width to another."""
        frame = self.frame(plot)
        width = frame["width"]
        actions = ActionChains(self._driver)
        self._move(actions, frame["left"] + part_from * width, frame["middle"])
        actions.click_and_hold()
        self._move(actions, frame["left"] + part_to * width, frame["middle"])
        actions.release().perform()

    def point(self, plot: str, x: float, y: float) -> None:
        """Move the pointer to a place of a plot, in the plot's own units."""
        place = self.ask(
            f"const v = page.plots.find((p) => p.name === '{plot}');"
            "const view = Bokeh.index.find_one(v).plot_view ?? Bokeh.index.find_one(v);"
            "const box = view.canvas_view.el.getBoundingClientRect();"
            f"return [box.left + view.frame.x_scale.compute({x}),"
            f" box.top + view.frame.y_scale.compute({y})];"
        )
        actions = ActionChains(self._driver)
        self._move(actions, *place)
        actions.perform()

    def frame(self, plot: str) -> dict[str, float]:
        """Return where a plot's inner part is in the window, scrolled into view."""
        found: dict[str, float] = self.ask(
            f"const v = Bokeh.index.find_one(page.plots.find((p) => p.name === '{plot}'));"
            "v.el.scrollIntoView({block: 'center'});"
            "const box = v.canvas_view.el.getBoundingClientRect();"
            "const {left, width, top, height} = v.frame.bbox;"
            "return {left: box.left + left, width, middle: box.top + top + height / 2};"
        )
        return found

    def _move(self, actions: ActionChains, x: float, y: float) -> None:
        pointer = cast("Any", actions.w3c_actions.pointer_action)
        pointer.move_to_location(round(x), round(y))

    def tooltip(self) -> str:
        """Return the text of the hover that is shown, an empty one if none."""
        return str(self.ask(TOOLTIP))

    def picture(self, path: Path, height_px: int = HEIGHT_PX) -> None:
        """Save what the window shows."""
        self._driver.set_window_size(WIDTH_PX, height_px)
        self._driver.save_screenshot(str(path))


@contextmanager
def browser() -> Iterator[Page]:
    """Run Chromium while the context lasts."""
    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    program = shutil.which("chromedriver")
    assert program is not None, "chromedriver is not installed"
    driver = webdriver.Chrome(options=options, service=Service(program))
    try:
        yield Page(driver)
    finally:
        driver.quit()
