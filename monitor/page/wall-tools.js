/** What surrounds the wall: the View menu, the state of the sound, alarms of beds that are not in sight. */

import { countDown, find, isAcknowledged, setText } from "./alarms.js";
import { gravity } from "./order.js";
import { choose, settings } from "./settings.js";

/** @typedef {import("./protocol.js").AlarmEvent} AlarmEvent */

/** How long the answer of the test tone is shown, ms. */
const ANSWER_MS = 6000;

/** The View menu: each choice holds at once. @param {import("./sound.js").Sound} sound */
export function listenToMenu(sound) {
  const menu = find(document, "#view-menu");
  for (const select of menu.querySelectorAll("select")) {
    select.addEventListener("change", () => choose(select.name, select.value));
  }
  menu.addEventListener("submit", (event) => event.preventDefault());
  const heard = find(menu, "#heard");
  find(menu, "#test-sound").addEventListener("click", async () => {
    await sound.wake();
    const silent = sound.on ? "No sound: the browser blocks it." : "No sound: it is off.";
    setText(heard, sound.test() ? "A tone was sounded." : silent);
    setTimeout(() => setText(heard, ""), ANSWER_MS);
  });
}

/** Make the page look as the settings say. */
export function applySettings() {
  const chosen = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (settings));
  for (const select of find(document, "#view-menu").querySelectorAll("select")) {
    select.value = String(chosen[select.name]);
  }
  document.documentElement.dataset.theme = settings.theme;
}

/**
 * Say whether alarms are heard on this screen.
 * @param {"on"|"off"|"blocked"} state @param {number} left  s of the ward's audio pause; 0 or less: there is none
 */
export function showAudio(state, left) {
  const button = find(document, "#pause-all");
  const paused = left > 0;
  button.setAttribute("aria-pressed", String(paused));
  button.dataset.sound = state;
  const words = { on: "Audio on", off: "Sound off here", blocked: "Sound blocked" };
  setText(find(button, ".text"), paused ? "Audio paused" : words[state]);
  setText(find(button, "b"), paused ? countDown(left) : "");
  button.title = paused ? "Let alarms sound again" : "Pause the sound of all alarms for two minutes";
  find(document, "#silent").hidden = state !== "blocked";
}

/** A row of alarms that call from beds which are not in sight; each leads to its bed. */
export class Elsewhere {
  /** @param {(bed: string) => void} open */
  constructor(open) {
    this.element = find(document, "#elsewhere");
    this.open = open;
  }

  /**
   * @param {{bed: import("./bed.js").Bed, alarms: AlarmEvent[]}[]} hidden  beds not in sight
   */
  show(hidden) {
    const calling = hidden.flatMap(({ bed, alarms }) => {
      const first = alarms.find((alarm) => alarm.kind === "physiological" && !isAcknowledged(alarm));
      return first ? [{ bed, alarm: first }] : [];
    });
    calling.sort((a, b) => gravity([a.alarm]) - gravity([b.alarm]));
    const key = JSON.stringify(calling.map(({ bed, alarm }) => [bed.info.bed, bed.name, alarm.text, alarm.priority]));
    this.element.hidden = calling.length === 0;
    if (this.element.dataset.key !== key) {
      this.element.dataset.key = key;
      this.element.replaceChildren(...calling.map((call) => this.chip(call)));
    }
  }

  /** @param {{bed: import("./bed.js").Bed, alarm: AlarmEvent}} call */
  chip({ bed, alarm }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "alarm";
    button.dataset.priority = alarm.priority;
    const shape = document.createElement("i");
    shape.className = "shape";
    const name = document.createElement("bdi");
    name.textContent = bed.name;
    const text = document.createElement("span");
    text.className = "text";
    text.textContent = alarm.text;
    button.append(shape, name, text);
    button.addEventListener("click", () => this.open(bed.info.bed));
    return button;
  }
}
