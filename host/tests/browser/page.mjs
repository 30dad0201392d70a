// Holds the status page against what it promises, in Chromium: with two servers and with a thousand, under traffic.
// Prints each promise; exits 1 if one is broken.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { configuration, lb, origin, traffic, until } from "./world.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.SCREENSHOTS;
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
let failed = 0;

async function promise(what, hold) {
  try {
    const said = await hold();
    console.log(`kept    ${what}${said ? ` (${said})` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`BROKEN  ${what}\n${error.stack}`);
  }
}

/** The page in a window of its own, with whatever goes wrong in it. */
async function open(world, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("request", (request) => request.url().startsWith(world.page) || request.url() === "data:," || wrong.push(`asks ${request.url()}`));
  await page.goto(world.page);
  await page.locator("#live", { hasText: /^live/ }).waitFor();
  return { page, wrong, close: () => context.close() };
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
const figure = (page, name) => page.locator("#process dl div", { has: page.locator("dt", { hasText: name }) }).locator("dd span").innerText();
const names = (page) => page.locator("#backends .backend").first().locator("tbody tr:not(.details) .name").allInnerTexts();

async function axe(page) {
  // The page's own policy forbids foreign scripts, which this one is: it comes by the debugger instead.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter(({ impact }) => ["serious", "critical", "moderate"].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(" | ")}`), []);
}

async function picture(page, name) {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

async function withTwo() {
  const [a, b] = [await origin(), await origin()];
  const world = await lb(configuration([["web-a", a.address], ["web-b", b.address]]));
  const load = traffic(world.addresses);
  const { page, wrong, close } = await open(world);
  let lost = b;

  await promise("live figures change, and agree with the traffic", async () => {
    const before = load.sent();
    const read = async () => Number((await figure(page, "Requests/s")).replace(/[^\d.]/g, ""));
    const first = await until("requests are seen", async () => (await read()) > 10 && figure(page, "Requests/s"));
    await until("they change", async () => (await figure(page, "Requests/s")) !== first);
    assert.ok(load.sent() > before);
    const status = await (await fetch(`${world.page}status.json`)).json();
    const total = status.frontends.reduce((sum, frontend) => sum + frontend.requests, 0);
    assert.ok(total > 0 && total <= load.sent(), `${total} of ${load.sent()}`);
  });
  await promise("both servers are UP, in words", async () => {
    await page.locator("#verdict", { hasText: "All 4 servers in order" }).waitFor();
    assert.deepEqual(await names(page), ["web-a", "web-b"]);
  });
  await promise("the charts move", async () => {
    const line = page.locator("#process .chart path.trace").first();
    const before = await line.getAttribute("d");
    await until("the line moves", async () => (await line.getAttribute("d")) !== before);
    assert.match(await page.locator("#process .bounds").first().innerText(), /max [\d.,]+[\s\S]*min [\d.,]+/);
  });
  await promise("accessible in light", () => axe(page));
  await promise("accessible in dark, which the button brings", async () => {
    const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.keyboard.press("t");
    await page.keyboard.press("t");
    assert.equal(await page.locator("#theme").innerText(), "Theme: dark");
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), light);
    await axe(page);
    await page.keyboard.press("t");
  });
  await promise("dark where the system is", async () => {
    const dark = await open(world, { colorScheme: "dark" });
    assert.notEqual(await dark.page.evaluate(() => getComputedStyle(document.body).backgroundColor),
      await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    await dark.close();
  });
  await promise("what a server says is text, not markup", async () => {
    a.complain("<img src=//evil.example><script>alert(1)</script>");
    const told = page.locator("#problems li", { hasText: "app/web-a" });
    await told.waitFor({ timeout: 20_000 });
    const words = await told.innerText();
    a.complain(null);
    assert.match(words, /<img src=/);
    assert.equal(await page.locator("main img, main script").count(), 0);
    await page.locator("#verdict", { hasText: "All 4 servers in order" }).waitFor({ timeout: 20_000 });
  });
  await promise("a killed server shows as DOWN, first of all", async () => {
    await b.kill();
    await page.locator("#verdict", { hasText: "1 server of 4 DOWN" }).waitFor({ timeout: 20_000 });
    await page.locator("#problems li", { hasText: "app/web-b" }).waitFor();
    const row = page.locator("tr", { has: page.locator(".name", { hasText: "web-b" }) });
    assert.match(await row.innerText(), /DOWN/);
    assert.match(await page.title(), /^\(1\)/);
    assert.ok((await row.locator(".was-down").getAttribute("d")).length > 0);
    // So that pictures show some of its course.
    if (pictures) await page.waitForTimeout(70_000);
    await picture(page, "status-1400");
    await axe(page);
  });
  await promise("a problem leads to its server", async () => {
    await page.locator("#problems li a").first().click();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "web-b");
    await page.keyboard.press("Enter");
    await page.locator("tr.details", { hasText: "Layer4 connection problem" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.press("Escape");
    assert.deepEqual(await names(page), ["web-a", "web-b"]);
  });
  await promise("by keyboard: only problems, collapse, headings, help, pause", async () => {
    await page.locator("h1").click();
    await page.keyboard.press("p");
    // The other may be there too: of its answers some are errors.
    assert.ok((await names(page)).includes("web-b"));
    assert.ok(!(await page.locator("#backends").innerText()).includes("reports-1"));
    await page.keyboard.press("p");
    assert.deepEqual(await names(page), ["web-a", "web-b"]);
    await page.keyboard.press("c");
    assert.equal(await page.locator("#backends table:visible").count(), 0);
    await page.keyboard.press("c");
    await page.keyboard.press("n");
    assert.match(await page.evaluate(() => document.activeElement.textContent), /^app/);
    assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid");
    await page.keyboard.press("?");
    await page.locator("#help[open]").waitFor();
    await axe(page);
    await page.locator("#help-close").click();
    assert.equal(await page.locator("#help[open]").count(), 0);
    await page.keyboard.press("s");
    await page.locator("#live", { hasText: "paused" }).waitFor();
    await page.keyboard.press("s");
    await page.locator("#live", { hasText: "live" }).waitFor();
  });
  for (const width of [400, 768, 1400]) {
    await promise(`no horizontal scrolling at ${width} pixels`, async () => {
      const narrow = await open(world, { viewport: { width, height: 860 } });
      await narrow.page.waitForTimeout(1500);
      assert.equal(await overflow(narrow.page), 0);
      await axe(narrow.page);
      if (width === 400) await picture(narrow.page, "status-400");
      assert.deepEqual(narrow.wrong, []);
      await narrow.close();
    });
  }
  await promise("it comes back, and the page with it", async () => {
    lost = await origin(b.port);
    await page.locator("#verdict", { hasText: "All 4 servers in order" }).waitFor({ timeout: 20_000 });
  });
  await promise("nothing wrong on the console, and nobody else was asked", () => assert.deepEqual(wrong, []));
  await promise("when lb is gone, the page says since when", async () => {
    await load.stop();
    await world.stop();
    await page.locator("#stale", { hasText: /lost since \d\d:\d\d:\d\d/ }).waitFor({ timeout: 20_000 });
    assert.match(await page.locator("#live").innerText(), /lost/);
  });
  await close();
  await Promise.all([a.kill(), lost.kill()]);
}

async function withAThousand() {
  const own = await origin();
  const dead = await origin();
  await dead.kill();
  const name = (index) => `web-${String(index + 1).padStart(4, "0")}`;
  const servers = Array.from({ length: 1000 }, (_, index) => [name(index), index % 250 === 77 ? dead.address : own.address]);
  const world = await lb(configuration(servers, { inter: "10s" }));
  const load = traffic(world.addresses);
  const { page, wrong, close } = await open(world);
  const first = page.locator("#backends .backend").first();

  await promise("a look at a thousand servers does not hold the page up", async () => {
    await page.waitForTimeout(3000);
    const took = await page.evaluate(async () => {
      const times = [];
      for (let turn = 0; turn < 8; turn += 1) {
        const body = await (await fetch("status.json")).text();
        const begin = performance.now();
        state.latest = take(JSON.parse(body));
        show();
        document.body.getBoundingClientRect();
        times.push(performance.now() - begin);
      }
      return times.sort((one, other) => one - other);
    });
    assert.ok(took.at(-1) < 500, `${took}`);
    return `${took[4].toFixed(0)} ms for parsing, rates, tables and layout, ${took.at(-1).toFixed(0)} ms at most`;
  });
  await promise("rows are shown a page at a time", async () => {
    assert.equal((await names(page)).length, 50);
    await first.locator(".pages button", { hasText: "Next" }).click();
    assert.equal((await names(page))[0], name(50));
    await first.locator(".pages button", { hasText: "Previous" }).click();
  });
  await promise("those that are DOWN stand first, and alone on demand", async () => {
    await page.locator("#verdict", { hasText: "4 servers of 1,002 DOWN" }).waitFor({ timeout: 40_000 });
    await page.locator("#only").check();
    await until("four are left", async () => (await names(page)).filter((one) => servers.some(([own, address]) => own === one && address === dead.address)).length === 4);
    await page.locator("#only").uncheck();
    if (pictures) await page.waitForTimeout(70_000);
    await picture(page, "status-1000-servers");
  });
  await promise("the filter finds one among them", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type("web-0500");
    assert.deepEqual(await names(page), ["web-0500"]);
    await page.keyboard.press("Escape");
    assert.equal((await names(page)).length, 50);
  });
  await promise("a heading sorts, and says so", async () => {
    const head = first.locator("th", { has: page.locator("button", { hasText: "Server" }) }).first();
    await head.locator("button").click();
    assert.equal(await head.getAttribute("aria-sort"), "ascending");
    await head.locator("button").click();
    assert.equal(await head.getAttribute("aria-sort"), "descending");
    assert.equal((await names(page))[0], name(999));
    await head.locator("button").click();
    assert.equal(await head.getAttribute("aria-sort"), "none");
    assert.equal((await names(page))[0], name(0));
  });
  await promise("accessible", () => axe(page));
  for (const width of [400, 768, 1400]) {
    await promise(`a thousand at ${width} pixels without horizontal scrolling`, async () => {
      const narrow = await open(world, { viewport: { width, height: 860 } });
      await narrow.page.waitForTimeout(1500);
      assert.equal(await overflow(narrow.page), 0);
      await narrow.close();
    });
  }
  await promise("nothing wrong on the console with a thousand", () => assert.deepEqual(wrong, []));
  await close();
  await load.stop();
  await world.stop();
  await own.kill();
}

async function withABreaker() {
  const own = await origin();
  const world = await lb(configuration([["web-a", own.address]], { app: 'circuit_breaker = { error_percent = 1, open_for = "1d" }' }));
  const load = traffic(world.addresses);
  const { page, wrong, close } = await open(world);
  await promise("a backend that refuses its requests is said to, though its servers are in order", async () => {
    await page.locator("#verdict", { hasText: "1 backend with an open circuit" }).waitFor({ timeout: 20_000 });
    await page.locator("#problems li", { hasText: /app refuses requests: .* refused in all/ }).waitFor();
    await page.locator("#only").check();
    const title = page.locator("#backends .backend").first().locator(".title");
    assert.match(await title.innerText(), /^app[^]*circuit open/);
    await axe(page);
  });
  await promise("nothing wrong on the console with an open circuit", () => assert.deepEqual(wrong, []));
  await close();
  await load.stop();
  await world.stop();
  await own.kill();
}

try {
  await withTwo();
  await withABreaker();
  await withAThousand();
} finally {
  await browser.close();
}
console.log(failed === 0 ? "all promises kept" : `${failed} broken`);
process.exit(failed === 0 ? 0 : 1);
