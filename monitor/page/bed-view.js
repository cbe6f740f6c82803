/** One bed on the whole screen: its strips on ECG paper, its last beat, RR intervals, trends and alarms. */

import { clock, countDown, find, isAcknowledged, setText } from "./alarms.js";
import { Chart } from "./charts.js";
import { TREND_S } from "./history.js";
import { FS } from "./protocol.js";
import { Tile } from "./tiles.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").NamedBeat} NamedBeat */
/** @typedef {import("./history.js").Point} Point */
/** @typedef {import("./charts.js").Spot} Spot */

/** RR intervals shown, s of signal and s of length. */
const TACHOGRAM_S = 120;
const LONGEST_RR = 2;
/** A trend is at least this long, s. */
const SHORTEST_TREND_S = 600;
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
    const current = !this.tile.stale;
    this.showBeat(history, current);
    this.showIntervals(history, bed.ring.end, current);
    this.showTrends(history, time, current);
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

  /** @param {History} history @param {number} end  360 Hz index @param {boolean} current */
  showIntervals({ beats }, end, current) {
    const span = TACHOGRAM_S * FS;
    const shown = beats.filter((beat) => beat.index > end - span && beat.rr < 2 * LONGEST_RR);
    const place = (/** @type {NamedBeat} */ { index }) => (index - end + span) / span;
    this.intervals.scatter(shown.map((beat) => ({ x: place(beat), y: beat.rr / LONGEST_RR, kind: beat.symbol })));
    const last = current ? shown[shown.length - 1] : undefined;
    const words = last ? `${Math.round(1000 * last.rr)} ms` : "---";
    this.intervals.line([], `RR intervals, the last: ${words}`);
    setText(find(this.intervals.element, ".now"), words);
  }

  /** @param {History} history @param {number} time  unix s @param {boolean} current */
  showTrends({ trend }, time, current) {
    const rates = trend.flatMap(({ rate }) => rate ?? []);
    const low = Math.max(0, Math.floor((Math.min(60, ...rates) - 10) / 20) * 20);
    const high = Math.ceil((Math.max(100, ...rates) + 10) / 20) * 20;
    const most = Math.max(20, ...trend.map(({ pvc }) => Math.ceil((pvc ?? 0) / 20) * 20));
    const last = current ? trend[trend.length - 1] : undefined;
    const whole = (/** @type {number|null|undefined} */ value, unit = "") =>
      value == null ? "---" : `${Math.round(value)}${unit}`;
    const share = (/** @type {number[]} */ shares) => `${Math.round(100 * mean(shares))} %`;
    const [rate, pvc, fibrillating, good] = this.trends;
    this.draw(rate, "heart rate", trend, time, (p) => p.rate, low, high, whole(last?.rate, " bpm"));
    this.draw(pvc, "PVCs a minute", trend, time, (p) => p.pvc, 0, most, whole(last?.pvc));
    const burden = share(trend.map((p) => p.fibrillating));
    this.draw(fibrillating, "atrial fibrillation", trend, time, (p) => 100 * p.fibrillating, 0, 100, burden);
    this.draw(good, "analysable signal", trend, time, (p) => 100 * p.good, 0, 100, share(trend.map((p) => p.good)));
  }

  /**
   * Draw one trend.
   * @param {Chart} chart @param {string} name @param {Point[]} trend @param {number} time  unix s
   * @param {(point: Point) => number|null} value @param {number} low @param {number} high @param {string} words
   */
  draw(chart, name, trend, time, value, low, high, words) {
    const start = Math.min(trend[0]?.time ?? time, time - SHORTEST_TREND_S);
    const x = (/** @type {number} */ at) => (at - start) / (time - start);
    /** @type {Spot[]} */
    const spots = [];
    for (const [place, point] of trend.entries()) {
      const known = value(point);
      const y = known === null ? null : (known - low) / (high - low);
      // Nothing was heard in between: a gap.
      if (place > 0 && point.time - trend[place - 1].time > 2 * TREND_S) spots.push({ x: x(point.time), y: null });
      spots.push({ x: x(point.time), y }, { x: x(Math.min(time, point.time + TREND_S)), y });
    }
    setText(find(chart.element, ".top"), words.endsWith("%") ? `${high} %` : String(high));
    setText(find(chart.element, ".bottom"), String(low));
    chart.line(spots, `Trend of ${name}: ${words}`);
    setText(find(chart.element, ".now"), words);
  }

  /** @param {History} history */
  showStory({ alarms }) {
    const entries = alarms.map((alarm) => {
      const how = alarm.ended
        ? `${clock(alarm.since)} to ${clock(alarm.ended)}${alarm.reason ? `, ${alarm.reason}` : ""}`
        : `since ${clock(alarm.since)}${stateOf(alarm)}`;
      const { id, text, priority } = alarm;
      return { id: `${id} ${how}`, text, how, priority, ended: Boolean(alarm.ended) };
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
