// Calls of the API, by addresses relative to this page.

const BASE = new URL("../", document.baseURI);
const TOKEN = "delfin-host-token";

/** Why a call failed. `status` is 0 if the host could not be reached. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Called with true after an answer, and with false when the host cannot be reached. */
export const connection = { listener: () => {} };

/** The token is forgotten when the tab is closed. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => (value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN)),
};

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body) => call("POST", path, body);

/** Part of a path. */
export const part = encodeURIComponent;

async function call(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const request = { method, headers, signal, cache: "no-store" };
  if (body !== undefined) request.body = JSON.stringify(body);
  let response;
  let text;
  try {
    response = await fetch(new URL(path, BASE), request);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    connection.listener(false);
    throw new ApiError(0, "Unreachable", "The host does not answer: it is stopped, or the network fails.");
  }
  connection.listener(true);
  const answer = parse(text);
  // `/readyz` answers 503 with a body of its own.
  if (response.ok || answer?.ready === false) return answer;
  const message = answer?.error_msg ?? `The host answered ${response.status} ${response.statusText}`.trim();
  throw new ApiError(response.status, answer?.error_code ?? "Error", message);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
