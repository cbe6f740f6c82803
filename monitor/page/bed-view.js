/** One bed on the whole screen: its strips on ECG paper, its last beat, RR intervals, trends and alarms. */

import { clock, countDown, find, isAcknowledged, setText } from "./alarms.js";
import { Chart } from "./charts.js";
import { TREND_S } from "./history.js";
import { FS } from "./protocol.js";
import { Tile } from "./tiles.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").NamedBeat} NamedBeat */
/** @typedef {import("./charts.js").Spot} Spot */

/** RR intervals shown, s of signal and s of length. */
const TACHOGRAM_S = 120;
const LONGEST_RR = 2;
/** A trend is at least this long, s. */
const SHORTEST_TREND_S = 600;
const MOST_PVC = 20;
const CLASSES = /** @type {const} */ (["N", "S", "V", "F", "Q"]);
const PATH = "#bed=";

/** The bed that an address links to; empty: none. @param {string} hash */
export function linked(hash) {
  try {
    return hash.startsWith(PATH) ? decodeURIComponent(hash.slice(PATH.length)) : "";
  } catch {
    return "";
  }
}

/** @param {string} bed @returns {string} hash of an address */
export function linkTo(bed) {
  return bed ? PATH + encodeURIComponent(bed) : "#";
}

export class BedView {
  /**
   * @param {import("./tiles.js").Actions} actions
   * @param {(bed: string) => void} setLimits  open the dialog
   * @param {(step: number) => void} turn  to the bed that many places on
   */
  constructor(actions, setLimits, turn) {
    this.actions = actions;
    /** Bed that is shown; empty: the wall is. */
    this.shown = "";
    /** @type {Tile|null} */
    this.tile = null;
    this.element = find(document, "#bed-view");
    this.place = find(this.element, ".place");
    this.pause = find(this.element, ".pause");
    this.intervals = new Chart(find(this.element, ".intervals"));
    this.trends = ["rates", "pvcs", "fibrillating", "good"].map((name) => new Chart(find(this.element, `.${name}`)));
    this.story = find(this.element, ".story");
    find(this.element, ".back").addEventListener("click", () => actions.open(""));
    find(this.element, ".previous").addEventListener("click", () => turn(-1));
    find(this.element, ".next").addEventListener("click", () => turn(1));
    find(this.element, ".acknowledge").addEventListener("click", () => {
      actions.tell({ type: "acknowledge_all", bed: this.shown });
    });
    this.pause.addEventListener("click", () => {
      actions.tell({ type: "pause", bed: this.shown, on: this.pause.getAttribute("aria-pressed") !== "true" });
    });
    find(this.element, ".set").addEventListener("click", () => setLimits(this.shown));
  }

  /** Show a bed, or none. @param {import("./bed.js").Bed|null} bed */
  show(bed) {
    this.tile?.element.remove();
    this.shown = bed?.info.bed ?? "";
    this.tile = bed && new Tile(bed, this.actions);
    this.element.hidden = !bed;
    if (this.tile) this.place.append(this.tile.element);
  }

  /**
   * Bring everything but the waveform up to date.
   * @param {History} history @param {import("./alarms.js").Alarms} alarms
   * @param {number} now  local, s @param {number} time  the monitor's, unix s
   */
  refresh(history, alarms, now, time) {
    if (!this.tile) return;
    const { bed } = this.tile;
    this.tile.showVitals(now);
    this.tile.showAudio(now);
    this.tile.showAlarms(alarms, time);
    const left = bed.pausedUntil - now;
    this.pause.setAttribute("aria-pressed", String(left > 0));
    setText(find(this.pause, "span"), left > 0 ? `Resume audio ${countDown(left)}` : "Pause audio");
    this.showBeat(history, !this.tile.element.classList.contains("stale"));
    this.showIntervals(history, bed.ring.end);
    this.showTrends(history, time);
    this.showStory(history);
  }

  /** @param {History} history @param {boolean} current */
  showBeat({ named, poor }, current) {
    const panel = find(this.element, ".last-beat");
    for (const name of CLASSES) {
      const share = (current && named?.p[name]) || 0;
      const row = find(panel, `[data-class=${name}]`);
      row.classList.toggle("called", current && named?.symbol === name);
      find(row, "i").style.setProperty("--share", String(share));
      setText(find(row, "b"), current && named ? `${Math.round(100 * share)} %` : "---");
    }
    setText(find(panel, ".finality"), current && named ? (named.final ? "final" : "provisional") : "");
    const reasons = [...poor].map(([lead, reason]) => `${lead}: ${reason.replace("_", " ")}`);
    setText(find(panel, ".leads"), reasons.length > 0 ? `Not trusted: ${reasons.join(", ")}` : "");
  }

  /** @param {History} history @param {number} end  360 Hz index */
  showIntervals({ beats }, end) {
    const first = end - TACHOGRAM_S * FS;
    const shown = beats.filter((beat) => beat.index > first && beat.rr < 2 * LONGEST_RR);
    this.intervals.scatter(
      shown.map(({ index, rr, symbol }) => ({ x: (index - first) / (TACHOGRAM_S * FS), y: rr / LONGEST_RR, kind: symbol })),
    );
    const last = shown[shown.length - 1];
    this.intervals.line([], last ? `RR intervals, the last ${Math.round(1000 * last.rr)} ms` : "RR intervals: none yet");
    setText(find(this.intervals.element, ".now"), last ? `${Math.round(1000 * last.rr)} ms` : "---");
  }

  /** @param {History} history @param {number} time  unix s */
  showTrends({ trend }, time) {
    const start = Math.min(trend[0]?.time ?? time, time - SHORTEST_TREND_S);
    const x = (/** @type {number} */ at) => (at - start) / (time - start);
    const [rate, pvc, fibrillating, good] = this.trends;
    const rates = trend.flatMap((point) => point.rate ?? []);
    const low = Math.max(0, Math.floor((Math.min(60, ...rates) - 10) / 20) * 20);
    const high = Math.ceil((Math.max(100, ...rates) + 10) / 20) * 20;
    setText(find(rate.element, ".top"), String(high));
    setText(find(rate.element, ".bottom"), String(low));
    for (const [chart, name, value, text] of /** @type {[Chart, string, (p: import("./history.js").Point) => number|null, (p: import("./history.js").Point) => string][]} */ ([
      [rate, "heart rate", (p) => p.rate && (p.rate - low) / (high - low), (p) => (p.rate === null ? "---" : `${Math.round(p.rate)} bpm`)],
      [pvc, "PVCs a minute", (p) => p.pvc === null ? null : p.pvc / MOST_PVC, (p) => (p.pvc === null ? "---" : String(p.pvc))],
      [fibrillating, "atrial fibrillation", (p) => p.fibrillating, () => `${Math.round(100 * mean(trend.map((p) => p.fibrillating)))} %`],
      [good, "analysable signal", (p) => p.good, () => `${Math.round(100 * mean(trend.map((p) => p.good)))} %`],
    ])) {
      const last = trend[trend.length - 1];
      const spots = trend.flatMap((p) => [{ x: x(p.time), y: value(p) }, { x: x(p.time + TREND_S), y: value(p) }]);
      const words = last ? text(last) : "---";
      chart.line(spots, `Trend of ${name}: ${words}`);
      setText(find(chart.element, ".now"), words);
    }
  }

  /** @param {History} history */
  showStory({ alarms }) {
    const entries = alarms.map((alarm) => {
      const how = alarm.ended
        ? `${clock(alarm.since)} to ${clock(alarm.ended)}${alarm.reason ? `, ${alarm.reason}` : ""}`
        : `since ${clock(alarm.since)}${stateOf(alarm)}`;
      return { id: `${alarm.id} ${how}`, text: alarm.text, how, priority: alarm.priority, ended: Boolean(alarm.ended) };
    });
    const key = entries.map((entry) => entry.id).join("\n");
    if (this.story.dataset.key === key) return;
    this.story.dataset.key = key;
    this.story.replaceChildren(...entries.map(storyLine));
    find(this.element, ".no-story").hidden = entries.length > 0;
  }
}

/** What is to be said of an alarm that stands. @param {import("./protocol.js").AlarmEvent} alarm */
function stateOf(alarm) {
  if (isAcknowledged(alarm)) return `, acknowledged by ${alarm.by ?? "somebody"}`;
  return alarm.state === "latched" ? ", ended, still to be acknowledged" : "";
}

/** @param {{text: string, how: string, priority: string, ended: boolean}} entry */
function storyLine({ text, how, priority, ended }) {
  const item = document.createElement("li");
  item.dataset.priority = priority;
  item.classList.toggle("ended", ended);
  const shape = document.createElement("i");
  shape.className = "shape";
  const words = document.createElement("b");
  words.textContent = text;
  const when = document.createElement("span");
  when.textContent = how;
  item.append(shape, words, when);
  return item;
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
