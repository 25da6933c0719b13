"""The console in a real browser, on a real cluster: `moesaic up` with the demo model."""
import base64
import json
import os
import pathlib
import signal
import threading
import time

import httpx
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from cluster import ROOT, Cluster, alive, wait_until

# Where screenshots go when somebody wants to look: CONSOLE_SHOTS=docs/console pytest …
SHOTS = os.environ.get("CONSOLE_SHOTS")
PHONE = 375
VISIBLE_WITHIN_S = 2


@pytest.fixture(scope="module")
def cluster():
    with Cluster(ROOT / "models/demo", shards=3, restart_delay=6, replicas=1,
                 price_list=ROOT / "monitoring/prices/example.json", price_class="c7i.4xlarge",
                 prometheus="off") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def look(browser, width=1280, height=900, scheme="light"):
    """Size of the window, and what the system's colours are."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1,
                             "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def url_of(cluster):
    return f"http://{cluster.child('coordinator')['http']}/console"


@pytest.fixture
def page(cluster, browser):
    """The page, loaded and live; no error in the browser's console when the test is over."""
    look(browser)
    browser.get(url_of(cluster))
    wait_until(lambda: text(browser, "pulse-text") == "live", 20, "the page is live")
    browser.get_log("browser")
    yield browser
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors, errors


def element(browser, name):
    return browser.find_element(By.ID, name)


def text(browser, name):
    return element(browser, name).get_property("textContent").replace("\u2011", "-")


def shot(browser, name, width, scheme):
    """A picture of the whole page, when somebody wants one."""
    if not SHOTS:
        return
    height = browser.execute_script("return document.documentElement.scrollHeight")
    look(browser, width, height, scheme)
    time.sleep(1)  # charts are drawn anew
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    (pathlib.Path(SHOTS) / f"{name}.png").write_bytes(base64.b64decode(picture))


def test_shows_the_cluster(page, cluster):
    wait_until(lambda: "Healthy" in text(page, "sentence"), 20, "healthy")
    assert "USD an hour" in text(page, "sentence")
    shards = [item.text for item in page.find_elements(By.CSS_SELECTOR, ".shard")]
    assert len(shards) == 3 and all("serving" in shard for shard in shards)
    assert "router-1" in text(page, "routers")
    assert "joined" in text(page, "events")
    assert page.find_elements(By.CSS_SELECTOR, "#chart-rate svg path.line")


def test_is_reachable_by_keyboard_and_by_screen_reader(page):
    for scheme in ("light", "dark"):
        look(page, scheme=scheme)
        time.sleep(0.3)  # transitions of colours
        found = Axe().run(page)["violations"]
        assert not found, json.dumps([(v["id"], [n["html"] for n in v["nodes"]][:3])
                                      for v in found], indent=1)
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(25):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.add(page.switch_to.active_element.get_attribute("id"))
    assert {"theme", "heat-canvas", "prompt", "send"} <= reached


def test_lists_do_not_grow_by_items_with_the_same_key(page):
    """Two routers of one name, two events with the same words."""
    shown = page.execute_async_script("""
        const done = arguments[arguments.length - 1];
        import('/console/dom.js').then(({ el, reconcile }) => {
          const list = el('ul');
          for (let poll = 0; poll < 3; poll += 1) {
            reconcile(list, ['a', 'a', 'b'], (item) => item, () => el('li'),
              (child, item) => { child.textContent = item; });
          }
          done([...list.children].map((child) => child.textContent));
        });""")
    assert shown == ["a", "a", "b"]


def test_theme_is_switched_and_remembered(page):
    def paper():
        return page.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = paper()
    button = element(page, "theme")
    button.click()
    assert button.text == "Light" and paper() == light
    button.click()
    assert button.text == "Dark" and paper() != light
    page.refresh()
    wait_until(lambda: element(page, "theme").text == "Dark", 10, "remembered")
    assert paper() != light
    element(page, "theme").click()
    assert element(page, "theme").text == "Auto" and paper() == light
    look(page, scheme="dark")
    assert paper() != light


def test_fits_a_phone(page):
    look(page, PHONE, 800)
    time.sleep(0.3)  # a frame to lay it out
    assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE
    assert element(page, "send").is_displayed()


def test_heat_map_says_who_holds_what(page):
    canvas = element(page, "heat-canvas")
    wait_until(lambda: "layers" in text(page, "heat-note"), 10, "experts are drawn")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(page).move_to_element(canvas).perform()
    wait_until(lambda: "on shard-" in text(page, "heat-tip"), 5, "shards under the pointer")
    assert "Layer" in text(page, "heat-readout")
    before = text(page, "heat-readout")
    canvas.send_keys(Keys.ARROW_RIGHT)
    wait_until(lambda: text(page, "heat-readout") != before, 5, "moved by keyboard")
    page.find_element(By.XPATH, "//span[text()='Replicas']").click()
    wait_until(lambda: "live replica" in text(page, "heat-note"), 5, "colours are replicas")


def test_prompt_is_answered_with_a_picture_of_its_experts(page):
    element(page, "prompt").send_keys("What is 12 + 30?", Keys.ENTER)
    wait_until(lambda: "tokens in" in text(page, "prompt-note"), 60, "answered")
    assert text(page, "answer").strip()
    wait_until(lambda: "Experts that computed" in text(page, "picture-caption"), 10, "picture")
    assert element(page, "picture-canvas").is_displayed()
    element(page, "answer").send_keys(Keys.ARROW_LEFT)
    assert page.find_elements(By.CSS_SELECTOR, ".token.chosen")
    wait_until(lambda: float(text(page, "rate").replace(",", "") or 0) > 0, 20, "a rate is shown")
    wait_until(lambda: "console" in text(page, "tenants"), 20, "the console is a tenant")
    assert "$" in text(page, "tenants"), "its tokens have a price"


# Notes, at every change of the picture's caption, whether the answer is still coming (Stop can be
# pressed), how many tokens of it there are, and what the picture looks like.
WATCH_PICTURE = """
window.seen = [];
new MutationObserver(() => seen.push({
  streaming: !document.getElementById('stop').hidden,
  tokens: document.querySelectorAll('.token').length,
  caption: document.getElementById('picture-caption').textContent,
  picture: document.getElementById('picture-canvas').toDataURL(),
})).observe(document.getElementById('picture-caption'), {childList: true});
"""


def test_the_picture_moves_while_a_long_answer_comes(page):
    page.execute_script(WATCH_PICTURE)
    element(page, "max-tokens").clear()
    element(page, "max-tokens").send_keys("512")
    element(page, "prompt").send_keys("What is 97 times 986?", Keys.ENTER)
    wait_until(lambda: "tokens in" in text(page, "prompt-note"), 60, "answered")
    seen = page.execute_script("return seen")
    live = [look for look in seen if look["streaming"]]
    total = len(page.find_elements(By.CSS_SELECTOR, ".token"))
    pictures = {look["picture"] for look in live}
    print(f"{len(live)} of {len(seen)} captions and {len(pictures)} pictures while "
          f"{total} tokens came, the first after {live[0]['tokens'] if live else '-'}")
    assert total > 40
    assert len(live) > 10 and live[0]["tokens"] < total / 2
    assert len(pictures) > 10 and all("Experts that computed" in look["caption"] for look in live)
    element(page, "answer").send_keys(Keys.ARROW_LEFT)
    chosen = page.find_elements(By.CSS_SELECTOR, ".token.chosen")
    assert len(chosen) == 1 and element(page, "picture").is_displayed()


def test_an_answer_without_a_picture_says_so(browser):
    with Cluster(ROOT / "models/demo", shards=1, enable_return_routed_experts="false",
                 prometheus="off") as plain:
        look(browser)
        browser.get(url_of(plain))
        wait_until(lambda: text(browser, "pulse-text") == "live", 20, "the page is live")
        element(browser, "prompt").send_keys("What is 1 + 2?", Keys.ENTER)
        wait_until(lambda: "No picture" in text(browser, "prompt-note"), 60, "said so")
        assert text(browser, "answer").strip()
        assert not element(browser, "picture").is_displayed()


def test_the_page_is_strict(cluster):
    page = httpx.get(url_of(cluster))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    base = url_of(cluster)
    assert httpx.get(base + "/../console/app.js").status_code == 200
    assert httpx.get(base + "/%2e%2e/%2e%2e/etc/passwd").status_code == 404
    body = {"prompt": "1 + 1"}
    assert httpx.post(base + "/api/chat", content=json.dumps(body)).status_code == 415
    assert httpx.post(base + "/api/chat", json={"prompt": ""}).status_code == 400
    assert httpx.put(base + "/api/cluster").status_code == 405


def work(cluster, until):
    """Requests of three tenants until a time."""
    def ask(tenant, tokens):
        while time.monotonic() < until:
            cluster.complete(prompt="What is 12 + 30?", max_tokens=tokens, ignore_eos=True,
                             user=tenant)
    threads = [threading.Thread(target=ask, args=job)
               for job in (("search", 96), ("search", 64), ("assistants", 48), ("reports", 16))]
    for thread in threads:
        thread.start()
    return threads


def test_screenshots(page, cluster):
    if not SHOTS:
        pytest.skip("CONSOLE_SHOTS is not set")
    workers = work(cluster, time.monotonic() + 75)
    time.sleep(50)
    element(page, "prompt").send_keys("What is 12 + 30?", Keys.ENTER)
    wait_until(lambda: "tokens in" in text(page, "prompt-note"), 60, "answered")
    time.sleep(12)  # the replay, and what routers report of it
    for name, width, scheme in (("desktop-light", 1280, "light"), ("desktop-dark", 1280, "dark"),
                                ("phone-light", PHONE, "light"), ("phone-dark", PHONE, "dark")):
        look(page, width, 900, scheme)
        time.sleep(1)
        shot(page, name, width, scheme)
    for worker in workers:
        worker.join()


def test_a_killed_shard_is_seen_within_two_seconds(page, cluster):
    child = cluster.child("shard-2")
    os.kill(child["pid"], signal.SIGKILL)
    killed = time.monotonic()
    seen_map = seen_words = seen_event = None
    while not (seen_map and seen_words and seen_event):
        now = time.monotonic() - killed
        assert now < 10, "never seen"
        state = page.execute_script(
            "return [...document.querySelectorAll('.shard')].find("
            "s => s.textContent.includes('shard-2'))?.dataset.state")
        seen_map = seen_map or (now if state == "SUSPECT" else None)
        seen_words = seen_words or (now if "shard-2 is lost from sight" in text(page, "sentence")
                                    else None)
        seen_event = seen_event or (
            now if "shard shard-2 is lost from sight" in text(page, "events") else None)
        time.sleep(0.02)
    print(f"map {seen_map:.2f} s, words {seen_words:.2f} s, event {seen_event:.2f} s")
    assert max(seen_map, seen_words, seen_event) < VISIBLE_WITHIN_S
    wait_until(lambda: "shard shard-2 came back" in text(page, "events"), 60, "it is back")
    wait_until(lambda: "Healthy" in text(page, "sentence"), 60, "healthy again")
    cluster.pids = [child["pid"] for child in cluster.state()["children"]]
    assert all(alive(pid) for pid in cluster.pids)
