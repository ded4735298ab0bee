/**
 * The page in a real browser, driven by another process: a JSON command a line on stdin, one JSON answer a line on
 * stdout. ROWCAST_PAGE_URL names the page.
 */

import { createInterface } from "node:readline";
import { AxeBuilder } from "@axe-core/playwright";
import { launch } from "./browser.mjs";

const DEFAULT_TIMEOUT_MS = 10_000;

const pageUrl = process.env.ROWCAST_PAGE_URL;
if (!pageUrl) {
  console.error("ROWCAST_PAGE_URL is not set");
  process.exit(2);
}

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1100, height: 800 } });
const page = await context.newPage();
const elsewhere = [];
const sockets = [];
const consoleErrors = [];

function noteRequest(url) {
  const { protocol, host } = new URL(url);
  if (["data:", "blob:"].includes(protocol) || host === new URL(pageUrl).host) return;
  elsewhere.push(url);
}

context.on("request", (request) => noteRequest(request.url()));
page.on("websocket", (socket) => {
  sockets.push(socket.url());
  noteRequest(socket.url());
});
page.on("console", (message) => message.type() === "error" && consoleErrors.push(message.text()));
page.on("pageerror", (error) => consoleErrors.push(String(error)));

/** Runs in the page: waits until the text of the first match is the expected one; the error has the last text. */
async function waitForText(selector, { text, exact, timeout_ms: timeout = DEFAULT_TIMEOUT_MS }) {
  try {
    await page.waitForFunction(
      ([selector, text, exact]) => {
        const found = document.querySelector(selector)?.textContent;
        return found !== undefined && (exact ? found === text : found.includes(text));
      },
      [selector, text, exact],
      { timeout },
    );
    return {};
  } catch {
    const last = await page.evaluate((selector) => document.querySelector(selector)?.textContent, selector);
    throw new Error(`${selector} is ${JSON.stringify(last ?? null)}, not ${JSON.stringify(text)}`);
  }
}

const ids = () => page.evaluate(() => window.__rowcast?.ids ?? []);

const commands = {
  /** `path`, `width`, `height` and `scheme` ("light", "dark") are optional. */
  async open({ path = "", width, height, scheme }) {
    if (width) await page.setViewportSize({ width, height: height ?? 800 });
    if (scheme) await page.emulateMedia({ colorScheme: scheme });
    await page.goto(new URL(path, pageUrl).href, { waitUntil: "load" });
    await page.waitForSelector("main", { timeout: DEFAULT_TIMEOUT_MS });
    return {};
  },

  async scheme({ scheme }) {
    await page.emulateMedia({ colorScheme: scheme });
    return {};
  },

  wait_text: ({ testid, ...what }) => waitForText(`[data-testid="${quoted(testid)}"]`, what),

  wait_value: ({ sensor, value, ...what }) =>
    waitForText(`[data-testid="sensor-row"][data-sensor="${quoted(sensor)}"] [data-testid="sensor-value"]`, {
      ...what,
      text: String(value),
      exact: true,
    }),

  counters: () =>
    page.evaluate(() => {
      const { received, duplicates, gaps } = document.querySelector("main").dataset;
      return { received: Number(received), duplicates: Number(duplicates), gaps: Number(gaps) };
    }),

  ids: async () => ({ ids: await ids() }),

  async wait_ids({ ids: wanted, timeout_ms: timeout = DEFAULT_TIMEOUT_MS }) {
    try {
      await page.waitForFunction(
        (wanted) => {
          const had = new Set(window.__rowcast?.ids);
          return wanted.every((id) => had.has(id));
        },
        wanted,
        { timeout },
      );
      return {};
    } catch {
      const had = new Set(await ids());
      const missing = wanted.filter((id) => !had.has(id));
      throw new Error(
        `${missing.length} of ${wanted.length} are missing, the first: ${missing.slice(0, 10)}`,
      );
    }
  },

  /** Gives a token to the page, as a person does. */
  async give_token({ token }) {
    await page.getByLabel("Token or device key").fill(token);
    await page.getByRole("button", { name: "Continue" }).click();
    return {};
  },

  async wait_gone({ testid, timeout_ms: timeout = DEFAULT_TIMEOUT_MS }) {
    await page.waitForSelector(`[data-testid="${quoted(testid)}"]`, { state: "detached", timeout });
    return {};
  },

  /** What a reload would find: the address, cookies, and the names of what is stored. */
  kept: async () => ({
    address: page.url(),
    cookies: (await context.cookies()).length,
    stored: await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]),
  }),

  /** How many sockets the page has opened. */
  sockets: () => ({ count: sockets.length, urls: sockets }),

  async offline() {
    await context.setOffline(true);
    return {};
  },

  async online() {
    await context.setOffline(false);
    return {};
  },

  async axe() {
    const { violations } = await new AxeBuilder({ page }).analyze();
    return {
      violations: violations.map(({ id, impact, help, nodes }) => ({
        id,
        impact,
        help,
        nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })),
      })),
    };
  },

  async screenshot({ path, full = false }) {
    await page.screenshot({ path, fullPage: full });
    return {};
  },

  requests: () => ({ urls: elsewhere }),

  console_errors: () => ({ errors: consoleErrors }),
};

function quoted(text) {
  return String(text).replace(/["\\]/g, "\\$&");
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function run({ cmd, ...what }) {
  const command = Object.hasOwn(commands, cmd) ? commands[cmd] : undefined;
  if (!command) throw new Error(`no command ${JSON.stringify(cmd)}`);
  return command(what);
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  try {
    const command = JSON.parse(line);
    if (command.cmd === "quit") {
      answer({ ok: true });
      break;
    }
    answer({ ok: true, ...(await run(command)) });
  } catch (error) {
    answer({ ok: false, error: error instanceof Error ? error.message : String(error) });
  }
}
// Also when the other process has ended, and with it stdin: no browser remains.
await browser.close();
process.exit(0);
