/** The dialog of a bed: its alarms and what happened to them, its limits, its pacemaker, relearning. */

import { countDown, find, setText, story } from "./alarms.js";

/** @typedef {import("./protocol.js").AlarmEvent} AlarmEvent */

/** How long the answer to a click is shown, ms. */
const ANSWER_MS = 4000;

export class BedDialog {
  /**
   * @param {(bed: string) => import("./bed.js").Bed|null} bedOf
   * @param {(bed: string) => AlarmEvent[]} alarmsOf  in order
   * @param {import("./tiles.js").Actions} actions
   */
  constructor(bedOf, alarmsOf, actions) {
    this.bedOf = bedOf;
    this.alarmsOf = alarmsOf;
    this.actions = actions;
    /** Bed that is shown; empty: none. */
    this.shown = "";
    this.element = /** @type {HTMLDialogElement} */ (find(document, "#bed-dialog"));
    this.form = /** @type {HTMLFormElement} */ (find(this.element, "form"));
    this.apply = /** @type {HTMLButtonElement} */ (find(this.element, ".apply"));
    this.pause = find(this.element, ".pause");
    this.answer = find(this.element, ".answer");
    this.list = find(this.element, ".active");
    this.answerUntil = 0;
    this.fields = /** @type {HTMLInputElement[]} */ ([...this.form.querySelectorAll("input[type=number]")]);
    this.paced = /** @type {HTMLInputElement} */ (find(this.form, "[name=paced]"));
    this.profiles = /** @type {HTMLInputElement[]} */ ([...this.form.querySelectorAll("[name=profile]")]);
    this.listen();
  }

  listen() {
    find(this.element, ".close").addEventListener("click", () => this.element.close());
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close(); // beside it
    });
    this.element.addEventListener("close", () => {
      this.shown = "";
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.setLimits();
    });
    for (const field of this.fields) {
      field.addEventListener("input", () => {
        this.apply.disabled = this.changes() === null;
      });
    }
    for (const profile of this.profiles) {
      profile.addEventListener("change", () => this.tell({ type: "profile", profile: profile.value }, "Preset set."));
    }
    this.paced.addEventListener("change", () => {
      this.tell({ type: "paced", paced: this.paced.checked }, this.paced.checked ? "Set to paced." : "Set to not paced.");
    });
    find(this.element, ".relearn").addEventListener("click", () => {
      this.tell({ type: "relearn" }, "Learning anew.");
    });
    find(this.element, ".acknowledge").addEventListener("click", () => this.tell({ type: "acknowledge_all" }, ""));
    this.pause.addEventListener("click", () => {
      this.tell({ type: "pause", on: this.pause.getAttribute("aria-pressed") !== "true" }, "");
    });
  }

  /** @param {string} bed */
  open(bed) {
    this.shown = bed;
    setText(this.answer, "");
    this.refill(bed);
    this.refresh(Date.now() / 1000);
    this.element.showModal();
  }

  /** Show what a bed is set to, if it is the one shown. @param {string} id */
  refill(id) {
    const bed = this.bedOf(id);
    if (id !== this.shown || !bed) return;
    const { info } = bed;
    setText(find(this.element, "h2"), bed.name);
    setText(find(this.element, ".id"), info.alias ? info.bed : "");
    for (const field of this.fields) {
      field.value = String(info.limits[field.name]);
      field.classList.remove("changed");
    }
    for (const profile of this.profiles) profile.checked = profile.value === info.profile;
    this.paced.checked = Boolean(info.limits.paced);
    this.apply.disabled = true;
  }

  /** Bring alarms and count-downs up to date. @param {number} time  the monitor's, unix s */
  refresh(time) {
    const bed = this.bedOf(this.shown);
    if (!bed) return;
    const alarms = this.alarmsOf(this.shown);
    find(this.element, ".none").hidden = alarms.length > 0;
    this.list.replaceChildren(...alarms.map((alarm) => entry(alarm, bed.info.fs, time)));
    const left = bed.pausedUntil - performance.now() / 1000;
    this.pause.setAttribute("aria-pressed", String(left > 0));
    setText(this.pause, left > 0 ? `Resume audio ${countDown(left)}` : "Pause audio 2 min");
    if (performance.now() > this.answerUntil) setText(this.answer, "");
  }

  /** @returns {Record<string, number>|null} limits that differ and make sense; null: there are none, or one does not */
  changes() {
    const limits = this.bedOf(this.shown)?.info.limits ?? {};
    /** @type {Record<string, number>} */
    const changes = {};
    for (const field of this.fields) {
      if (!field.checkValidity() || field.value === "") return null;
      const changed = Number(field.value) !== limits[field.name];
      field.classList.toggle("changed", changed);
      if (changed) changes[field.name] = Number(field.value);
    }
    return Object.keys(changes).length > 0 ? changes : null;
  }

  setLimits() {
    const changes = this.changes();
    if (changes) this.tell({ type: "limits", ...changes }, "Limits set.");
  }

  /** @param {object} command @param {string} answer  what is said when it could be sent */
  tell(command, answer) {
    const sent = this.actions.tell({ ...command, bed: this.shown });
    this.say(sent ? answer : "The monitor cannot be reached.");
  }

  /** Say something at the foot of the dialog. @param {string} text @returns {boolean} whether it is open */
  say(text) {
    setText(this.answer, text);
    this.answerUntil = performance.now() + ANSWER_MS;
    return this.shown !== "";
  }
}

/** An alarm and its story. @param {AlarmEvent} alarm @param {number} fs @param {number} time @returns {HTMLElement} */
function entry(alarm, fs, time) {
  const item = document.createElement("li");
  item.dataset.priority = alarm.priority;
  const text = document.createElement("b");
  text.textContent = alarm.text;
  const steps = document.createElement("span");
  const left = (alarm.silenced_until ?? 0) - time;
  const silent = alarm.state === "acknowledged" && left > 0 ? [`silent for ${countDown(left)}`] : [];
  steps.textContent = [...story(alarm, fs), ...silent].join(" · ");
  const shape = document.createElement("i");
  shape.className = "shape";
  item.append(shape, text, steps);
  return item;
}
