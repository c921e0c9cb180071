// Requests to the API of agents, with the session of this browser.

import { config, say, trouble } from "./page.js";

const token = document.querySelector('meta[name="csrf-token"]').content;
let session = null;

// The session that this page believes to have: another one's is refused.
export const actAs = (id) => { session = id; };

export class Refused extends Error {
  constructor(status, problem = {}) {
    super(problem.code ?? `http_${status}`);
    this.status = status;
    this.code = problem.code ?? "other";
    this.done = problem.done;
  }

  get words() {
    return config.refusals[this.code] ?? config.refusals.other;
  }

  // Nobody is logged in to the pages any more: no repeat helps.
  get signedOut() {
    return this.status === 401;
  }
}

// GET, POST or DELETE; what was answered. A repeat of what may have been done is done once.
export async function ask(method, path, body = {}) {
  const key = method === "GET" ? null : newKey();
  try {
    return await once(method, config.api + path, body, key);
  } catch (error) {
    if (!worthRepeating(error)) throw error;
    await pause(700);
    return once(method, config.api + path, body, key);
  }
}

export const post = (path, body) => ask("POST", path, body);

// What only the page wants to know.
export const aside = (path) => once("GET", config.here + path, {}, null);

// Says what went wrong, where the reader sees it; what was answered, or null.
export async function tried(work, tell = trouble) {
  try {
    const answer = await work();
    tell("");
    return answer;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.signedOut ? say("log_in_again") : error.words);
    return null;
  }
}

// Refused for a while only: there is nobody to ask just now, or the line is not up yet.
const PASSES = new Set(["no_leg", "switch_away", "engine_away", "network", "too_many_requests"]);
const AGAIN_MS = 1500;
let hurry = () => {};

// Asks until it is answered for good, or not ``wished`` any more: null then. ``told``: why not yet.
export async function insist(work, wished, told) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused) || !PASSES.has(error.code)) throw error;
      if (!wished()) return null;
      told(error);
    }
    await new Promise((done) => { hurry = done; setTimeout(done, AGAIN_MS); });
    if (!wished()) return null;
  }
}

// Something has changed: what is insisted on is asked again at once.
export const hurryUp = () => hurry();

async function once(method, path, body, key) {
  const headers = { Accept: "application/json" };
  if (session) headers["Agent-Session"] = session;
  if (method !== "GET") headers["X-CSRFToken"] = token;
  if (key) headers["Idempotency-Key"] = key;
  const asked = { method, headers, redirect: "manual", cache: "no-store" };
  if (method === "POST") {
    headers["Content-Type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, asked);
  } catch {
    throw new Refused(0, { code: "network" });
  }
  if (answer.type === "opaqueredirect") throw new Refused(401, { code: "unauthorised" });
  if (answer.status === 204) return {};
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

const worthRepeating = (error) =>
  error instanceof Refused &&
  (error.status === 0 || error.status === 503 || error.code === "still_running");

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
