// What changes the host: each asks first, and tells how it ended.

import { post, token, part } from "./api.js";
import { el } from "./dom.js";
import { count, plural } from "./format.js";

const dialog = document.getElementById("dialog");
const messages = document.getElementById("messages");
const MESSAGE_MS = 8000;

dialog.addEventListener("close", () => {
  // The button that opened it may be gone.
  if (document.activeElement === document.body || document.activeElement === null) document.getElementById("main").focus();
});

/** Shows a message; errors stay until they are closed. */
export function tell(text, tone = "good") {
  const message = el("div", { class: `message ${tone}` }, el("span", {}, text),
    el("button", { type: "button", class: "quiet", "aria-label": "Close message", onclick: () => message.remove() }, "×"));
  messages.append(message);
  while (messages.children.length > 5) messages.firstChild.remove();
  if (tone === "good") setTimeout(() => message.remove(), MESSAGE_MS);
}

/** An error with what to do about it. */
export function explain(error, retry) {
  const help = {
    401: "The host asks for a token. Enter one, and the page tries again.",
    403: "Your token does not allow this, or the page was opened under a name that the host does not know (`api.hosts`).",
    404: "It does not exist any more. Another operator may have removed it.",
    409: "The state of the host has changed meanwhile. Look again before you repeat it.",
    503: "The host cannot do this now. Try again in some seconds; its log has the reason.",
    507: "Make room on the disk of the journal first.",
  }[error.status];
  return el("div", { class: "banner bad", role: "alert" },
    el("strong", {}, error.message), help ? el("span", {}, ` ${help}`) : null, el("code", {}, error.status ? `${error.status} ${error.code}` : error.code),
    error.status === 401 ? el("button", { type: "button", onclick: () => askToken(retry) }, "Enter a token") : null);
}

/**
 * Asks before `run()`, which returns the message of success. Stays open with the reason if it
 * fails. `danger`: data is lost.
 */
export function ask({ title, text, button, danger = false, fields = [], run, done }) {
  const submit = el("button", { type: "submit", class: danger ? "danger" : "primary" }, button);
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const failure = el("div", { class: "failure" });
  const form = el("form", { method: "dialog", onsubmit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    submit.setAttribute("aria-busy", "true");
    try {
      const message = await run(new FormData(form));
      dialog.close();
      if (message) tell(message);
    } catch (error) {
      failure.replaceChildren(explain(error, done));
    } finally {
      submit.disabled = false;
      submit.removeAttribute("aria-busy");
      done?.();
    }
  } }, el("h2", { id: "dialog-title" }, title), text ? el("p", {}, text) : null, ...fields, failure, el("div", { class: "buttons" }, cancel, submit));
  dialog.replaceChildren(form);
  dialog.showModal();
  // Data that is lost is not lost by pressing Enter too early.
  (form.querySelector("input") ?? (danger ? cancel : submit)).focus();
}

export function askToken(done) {
  const field = el("input", { name: "token", type: "password", autocomplete: "off", value: token.get() ?? "", id: "token-field" });
  ask({
    title: "Token", text: "A host that asks for a token takes it with each call. The page keeps it until the tab is closed. Leave it empty to forget it.",
    button: "Use token", fields: [el("label", { for: "token-field" }, "Token"), field], done,
    run: async (form) => {
      token.set(form.get("token").trim());
      document.getElementById("token").classList.toggle("set", Boolean(token.get()));
      return token.get() ? "The token is used from now on." : "The page uses no token.";
    },
  });
}

export function reload(done) {
  ask({
    title: "Reload the configuration?", button: "Reload", done,
    text: "The host reads its configuration file again. A mistake in it changes nothing; exporters that did not change go on.",
    run: async () => {
      const result = await post("v1/reload");
      const parts = [["added", result.added], ["changed", result.changed], ["removed", result.removed]].filter(([, list]) => list.length > 0);
      const changes = parts.map(([name, list]) => `${name}: ${list.join(", ")}`);
      const restart = result.needs_restart.length > 0 ? `; needs a restart: ${result.needs_restart.join(", ")}` : "";
      return `The configuration was reloaded, ${changes.join("; ") || "no exporter changed"}${restart}.`;
    },
  });
}

const EXPORTER_ACTIONS = {
  pause: {
    text: (exporter) => `${exporter.name} gets nothing until it is resumed, also after a restart of the host. What is pending is kept, within its limits.`,
    message: (exporter) => `${exporter.name} is paused.`,
  },
  resume: {
    text: (exporter) => `A pause of ${exporter.name} ends, and it tries again now.`,
    message: (exporter) => `${exporter.name} tries again now.`,
  },
  skip: {
    danger: true,
    text: (exporter) => `${plural(exporter.pending, "pending item")} of ${exporter.name} will never be delivered to it. They are counted as dropped.`,
    message: (exporter, answer) => `${plural(answer.dropped, "pending item")} of ${exporter.name} ${answer.dropped === 1 ? "was" : "were"} dropped.`,
  },
};

/** Pause, resume or skip an exporter. */
export function operate(action, exporter, done) {
  const { danger, text, message } = EXPORTER_ACTIONS[action];
  ask({
    title: `${capital(action)} ${exporter.name}?`, text: text(exporter), button: capital(action), danger, done,
    run: async () => message(exporter, await post(`v1/exporters/${part(exporter.name)}/${action}`)),
  });
}

/** Delivers stored batches to an exporter again. */
export function replay(exporter, done) {
  ask({
    title: `Replay to ${exporter.name}?`, button: "Replay", done,
    text: "Batches that were accepted since then are delivered again, as far as the journal has them. The receiver gets them twice.",
    fields: [el("label", { for: "since" }, "Since (such as 30m, 2h, 1d or 2026-01-31T12:00:00Z)"), el("input", { id: "since", name: "since", value: "1h", required: true })],
    run: async (form) => {
      const { items } = await post(`v1/exporters/${part(exporter.name)}/replay`, { since: form.get("since").trim() });
      return `${plural(items, "item")} wait for ${exporter.name}.`;
    },
  });
}

/** Replays or purges dead letters with these ids. */
export function actOn(action, ids, done) {
  const purge = action === "purge";
  ask({
    title: `${capital(action)} ${plural(ids.length, "dead letter")}?`, button: capital(action), danger: purge, done,
    text: purge ? "Their content is deleted for good." : "They are delivered again. Rows that the receiver refuses again become dead letters again.",
    run: async () => {
      const answer = await post(`v1/dead-letters/${action}`, { ids });
      const [number, items] = [plural(answer.letters, "dead letter"), count(answer.items)];
      return purge ? `${number} with ${items} items deleted.` : `${number} with ${items} items wait for their exporters.`;
    },
  });
}

/** Ends one active alert. */
export function clearAlert(alert, done) {
  const name = alert.alert_name ?? alert.alert_id ?? "this alert";
  const fields = ["storage_id", "severity", "alert_name", "location", "sequence_number", "match_key"];
  // All fields, so that a similar alert stays.
  const filter = Object.fromEntries(fields.map((field) => [field, alert[field] ?? ""]));
  ask({
    title: `Clear ${name}?`, button: "Clear", done,
    text: "Every exporter gets its recovery. If the storage reports it again, it is active again.",
    run: async () => `${plural((await post("v1/alerts/active/clear", filter)).cleared, "alert")} cleared.`,
  });
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
