/** The tile of a bed: its numbers, its alarms, and the room it leaves for the waveform. */

import { AlarmRow, countDown, find, isAcknowledged, setText } from "./alarms.js";
import { STALE_S } from "./bed.js";
import { settings, togglePin } from "./settings.js";

/**
 * @typedef {object} Actions  what a click can do; each says whether the monitor could be told
 * @property {(alarm: import("./protocol.js").AlarmEvent) => boolean} acknowledge
 * @property {(alarm: import("./protocol.js").AlarmEvent) => void} shown  the alarm is on the screen
 * @property {(command: object) => boolean} tell  any command, without who says it
 * @property {(bed: string) => void} open  the bed's own view; empty: the wall
 */

/** How long the heart stays lit after an R wave, ms. */
const BLINK_MS = 140;
/** A lead gets a lane of its own when it has at least this height, px. */
const LANE_HEIGHT = 84;
/** Width of a tile from which a second alarm line fits, px. */
const WIDE = 860;
/** Seconds of a device's clock ahead of or behind the monitor's that are worth a word. */
const SKEW_S = 2;

const RHYTHMS = /** @type {Record<string, string>} */ ({
  N: "", // nothing named is not "sinus": what the analysis cannot tell yet would be called so
  VT: "V tach",
  HGEA: "V run",
  VF: "V fib",
  VFL: "V flutter",
  VFIB: "V fib",
  B: "Bigeminy",
  T: "Trigeminy",
  AFIB: "A fib",
  SVTA: "SV tach",
  ASYS: "Asystole",
});

/**
 * Columns and rows for a number of beds: as few columns as leave each row enough height, so that strips are long.
 * @param {number} beds
 * @param {number} width   px
 * @param {number} height  px
 * @returns {{columns: number, rowHeight: number}}  rowHeight: px; the wall scrolls when they are more than fit
 */
export function grid(beds, width, height) {
  const narrow = width < 600;
  const lowest = narrow ? 132 : 74;
  const most = narrow ? 1 : Math.max(1, Math.floor(width / 156));
  let columns = beds <= 3 || narrow ? 1 : 2;
  while (columns < most && height / Math.ceil(beds / columns) < lowest) columns += 1;
  const rows = Math.max(1, Math.ceil(beds / columns));
  return { columns, rowHeight: Math.max(lowest, Math.floor(height / rows)) };
}

export class Tile {
  /**
   * @param {import("./bed.js").Bed} bed
   * @param {Actions} actions
   */
  constructor(bed, actions) {
    this.bed = bed;
    this.element = clone("tile");
    this.strip = find(this.element, ".strip");
    this.rate = find(this.element, ".rate");
    this.high = find(this.element, ".high");
    this.low = find(this.element, ".low");
    this.rhythm = find(this.element, ".rhythm");
    this.pvc = find(this.element, ".pvc");
    this.heart = find(this.element, ".heart");
    this.age = find(this.element, ".age");
    this.audio = find(this.element, ".audio");
    this.alarms = new AlarmRow(find(this.element, ".alarms"), actions);
    this.technical = new AlarmRow(find(this.element, ".technical"), actions);
    this.pin = find(this.element, ".pin");
    this.pin.addEventListener("click", () => togglePin(bed.info.bed));
    find(this.element, ".name button").addEventListener("click", () => actions.open(bed.info.bed));
    this.element.addEventListener("click", (event) => {
      const target = /** @type {Element} */ (event.target);
      if (!target.closest("button")) actions.open(bed.info.bed);
    });
    this.audio.addEventListener("click", () => {
      actions.tell({ type: "pause", bed: bed.info.bed, on: this.audio.getAttribute("aria-pressed") !== "true" });
    });
    /** @type {HTMLElement[]} */
    this.lanes = [];
    this.litUntil = 0;
    this.stale = false;
    this.room = 1;
    this.describe();
  }

  /** Show who it is. */
  describe() {
    const { info } = this.bed;
    this.element.dataset.bed = info.bed;
    setText(find(this.element, ".name bdi"), this.bed.name);
    setText(find(this.element, ".id"), info.alias ? info.bed : "");
    this.element.setAttribute("aria-label", `Bed ${this.bed.name}`);
    find(this.element, ".simulated").hidden = !info.simulated;
    find(this.element, ".paced").hidden = !info.limits?.paced;
  }

  /** Make as many lanes as there is room for; the sweep draws in them. */
  fit() {
    const { leads } = this.bed.info;
    const fitting = Math.floor(this.strip.clientHeight / LANE_HEIGHT);
    const names = leads.slice(0, settings.leads === "auto" ? Math.max(1, fitting) : Number(settings.leads));
    const { gain, speed } = settings;
    this.pin.setAttribute("aria-pressed", String(settings.pins.includes(this.bed.info.bed)));
    for (const lane of this.lanes) lane.remove();
    this.lanes = names.map((name) => {
      const lane = clone("lane");
      find(lane, ".scale").textContent = `${name} x${gain / 10} ${speed} mm/s 0.5-40 Hz`;
      return lane;
    });
    this.strip.prepend(...this.lanes);
    this.room = this.element.clientWidth >= WIDE ? 2 : 1;
  }

  /** Show the numbers; older than two seconds they are not numbers any more. @param {number} now  s */
  showVitals(now) {
    const { vitals } = this.bed;
    const dataAge = this.bed.dataAge(now);
    const fresh = vitals !== null && dataAge <= STALE_S;
    setText(this.rate, fresh && vitals.heart_rate !== null ? String(Math.round(vitals.heart_rate)) : "---");
    this.rate.classList.toggle("unknown", this.rate.textContent === "---");
    setText(this.high, vitals?.high == null ? "" : String(Math.round(vitals.high)));
    setText(this.low, vitals?.low == null ? "" : String(Math.round(vitals.low)));
    setText(this.rhythm, fresh && vitals.rhythm !== null ? (RHYTHMS[vitals.rhythm] ?? vitals.rhythm) : "");
    setText(this.pvc, fresh && vitals.pvc_per_minute !== null ? `PVC ${vitals.pvc_per_minute}/min` : "");
    // The trace can be older than the data: the monitor sheds waveforms, never numbers, on a slow line.
    const age = fresh ? this.bed.traceAge(now) : dataAge;
    const stale = age > STALE_S;
    this.stale = stale;
    this.element.classList.toggle("stale", stale);
    const late = vitals?.late_s ?? 0;
    const skew = vitals?.skew_s ?? 0;
    const skewed = Math.abs(skew) >= SKEW_S;
    this.age.hidden = !stale && late === 0 && !skewed;
    if (skewed) setText(this.age, `Device clock ${duration(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}`);
    if (late > 0) setText(this.age, `Catching up ${duration(late)}`);
    if (stale) setText(this.age, age === Infinity ? "No data" : `No data for ${duration(age)}`);
  }

  /** Show whether the bed's alarms are silent, and for how long. @param {number} now  s */
  showAudio(now) {
    const left = this.bed.pausedUntil - now;
    this.audio.setAttribute("aria-pressed", String(left > 0));
    setText(find(this.audio, "b"), left > 0 ? countDown(left) : "");
    this.audio.title = left > 0 ? "Audio paused: click to let alarms sound again" : "Pause audio for two minutes";
  }

  /** @param {import("./alarms.js").Alarms} alarms @param {number} time  the monitor's, unix s */
  showAlarms(alarms, time) {
    const { bed, fs } = this.bed.info;
    const physiological = alarms.of(bed, "physiological");
    this.alarms.show(physiological, this.room, time, fs);
    this.technical.show(alarms.of(bed, "technical"), this.room, time, fs);
    const [first] = physiological;
    const priority = first && !isAcknowledged(first) ? first.priority : "";
    if (this.element.dataset.priority !== priority) this.element.dataset.priority = priority;
  }

  /** Light the heart when an R wave comes under the pen. @param {number} now  ms @param {boolean} beat */
  blink(now, beat) {
    if (beat) {
      if (this.litUntil === 0) this.heart.classList.add("lit");
      this.litUntil = now + BLINK_MS;
    } else if (this.litUntil !== 0 && now > this.litUntil) {
      this.heart.classList.remove("lit");
      this.litUntil = 0;
    }
  }
}

/** @param {string} id @returns {HTMLElement} */
function clone(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  return /** @type {HTMLElement} */ (copy.firstElementChild);
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
