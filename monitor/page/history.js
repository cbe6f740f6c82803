/** What happened to a bed since this page was opened: RR intervals, trends, the course of its alarms. */

import { FS } from "./protocol.js";

/** @typedef {import("./protocol.js").AlarmEvent} AlarmEvent */
/** @typedef {import("./protocol.js").WardEvent} WardEvent */

/** RR intervals kept: more than three minutes at 200 bpm. */
const BEATS = 640;
/** A point of a trend, s, and how many are kept: eight hours. */
export const TREND_S = 10;
const POINTS = 2880;
const ALARMS = 200;

/**
 * @typedef {{index: number, rr: number, symbol: string, final: boolean}} NamedBeat  index: 360 Hz; rr: s
 * @typedef {{time: number, rate: number|null, pvc: number|null, fibrillating: number, good: number}} Point
 *   fibrillating, good: share of the seconds in which the rhythm was AF, and in which the signal could be analysed
 */

export class History {
  constructor() {
    /** @type {NamedBeat[]} */
    this.beats = [];
    /**
     * The last beat that has class probabilities.
     * @type {{symbol: string, final: boolean, p: Record<string, number>}|null}
     */
    this.named = null;
    /** @type {Point[]} */
    this.trend = [];
    /** The last state of each alarm, the newest first; ended is unix s. @type {(AlarmEvent & {ended?: number})[]} */
    this.alarms = [];
    /** Leads that cannot be trusted now, and why. @type {Map<string, string>} */
    this.poor = new Map();
    this.stream = -1;
    this.seconds = 0;
  }

  /** The device started anew: indices mean something else. @param {number} stream */
  follow(stream) {
    if (stream === this.stream) return;
    this.stream = stream;
    this.beats = [];
    this.named = null;
    this.poor.clear();
  }

  /** @param {number} index  360 Hz */
  found(index) {
    const last = this.beats[this.beats.length - 1];
    if (last && index <= last.index) return;
    this.beats.push({ index, rr: last ? (index - last.index) / FS : NaN, symbol: "", final: false });
    if (this.beats.length > BEATS) this.beats.shift();
  }

  /** @param {number} index @param {string} symbol @param {boolean} final @param {Record<string, number>} [p] */
  nameBeat(index, symbol, final, p) {
    this.found(index);
    const beat = this.beats.findLast((known) => known.index === index);
    if (beat) Object.assign(beat, { symbol, final });
    if (p && index >= this.lastIndex()) this.named = { symbol, final, p };
  }

  lastIndex() {
    const named = this.beats.findLast((beat) => beat.symbol !== "");
    return named ? named.index : -Infinity;
  }

  /** A lead became good or bad. @param {string} lead @param {boolean} ok @param {string} [reason] */
  judged(lead, ok, reason) {
    if (ok) this.poor.delete(lead);
    else this.poor.set(lead, reason ?? "poor");
  }

  /**
   * The second's numbers; a point of the trend is made of ten.
   * @param {import("./protocol.js").Vitals} vitals @param {number} time  unix s @param {boolean} analysed
   */
  take(vitals, time, analysed) {
    let point = this.trend[this.trend.length - 1];
    if (!point || time - point.time >= TREND_S) {
      point = { time, rate: null, pvc: null, fibrillating: 0, good: 0 };
      this.trend.push(point);
      this.seconds = 0;
      if (this.trend.length > POINTS) this.trend.shift();
    }
    const n = ++this.seconds;
    point.rate = analysed ? vitals.heart_rate : point.rate;
    point.pvc = analysed ? vitals.pvc_per_minute : point.pvc;
    point.fibrillating += (Number(analysed && vitals.rhythm === "AFIB") - point.fibrillating) / n;
    point.good += (Number(analysed) - point.good) / n;
  }

  /**
   * The page comes back: what is not active any more ended while it heard nothing.
   * @param {AlarmEvent[]} active
   * @param {number} time  unix s
   */
  comeBack(active, time) {
    const ids = new Set(active.map((alarm) => alarm.id));
    for (const alarm of this.alarms) {
      if (alarm.ended || ids.has(alarm.id)) continue;
      alarm.ended = time;
      alarm.reason = "or before: the monitor was out of reach";
    }
    for (const alarm of active) this.tell(alarm);
  }

  /** @param {AlarmEvent} alarm */
  tell(alarm) {
    const at = this.alarms.findIndex((known) => known.id === alarm.id);
    const ended = alarm.state === "cleared" ? { ended: alarm.time } : {};
    if (at >= 0) this.alarms[at] = { ...alarm, ...ended };
    else this.alarms.unshift({ ...alarm, ...ended });
    this.alarms.length = Math.min(this.alarms.length, ALARMS);
  }
}

/** Of all beds, by id: outlives a lost connection. */
export class Histories {
  constructor() {
    /** @type {Map<string, History>} */
    this.byBed = new Map();
  }

  /** @param {string} bed */
  of(bed) {
    let history = this.byBed.get(bed);
    if (!history) this.byBed.set(bed, (history = new History()));
    return history;
  }

  /**
   * @param {WardEvent & {p?: Record<string, number>, lead?: string, ok?: boolean, reason?: string}} event
   * @param {number} index  360 Hz
   */
  note(event, index) {
    const history = this.of(event.bed);
    if (event.type === "qrs") history.found(index);
    if (event.type === "beat") history.nameBeat(index, event.symbol ?? "Q", event.final ?? true, event.p);
    if (event.type === "quality") history.judged(event.lead ?? "", event.ok ?? true, event.reason);
    if (event.type === "alarm") history.tell(/** @type {AlarmEvent} */ (event));
  }
}
