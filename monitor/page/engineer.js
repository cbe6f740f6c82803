/** The engineer's overlay: whether this screen keeps up. Closed, it costs nothing. */

import { FS } from "./protocol.js";
import { find, setText } from "./alarms.js";

/** Frames and samples looked back on. */
const KEPT = 600;
/** A frame this much longer than the usual one was dropped. */
const DROPPED = 1.5;

/** @param {number[]} values @param {number} share @returns {number} NaN: there are none */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

export class Engineer {
  constructor() {
    this.element = find(document, "#engineer");
    this.reset();
  }

  reset() {
    /** From frame to frame, ms. @type {number[]} */
    this.gaps = [];
    /** Spent in a frame's own code, ms. @type {number[]} */
    this.costs = [];
    /** From the monitor's tick to the pixel, ms. @type {number[]} */
    this.latencies = [];
    this.dropped = 0;
    this.last = 0;
    /**
     * Samples on their way to the screen: index after the last, when they came at the quickest (ms).
     * @type {{bed: import("./bed.js").Bed, end: number, sent: number}[]}
     */
    this.coming = [];
    /** The least delay of a message, ms of both clocks: the quickest is taken for none. */
    this.quickest = Infinity;
    /** Bytes received when it was opened. */
    this.received = NaN;
    this.since = performance.now();
  }

  get open() {
    return !this.element.hidden;
  }

  toggle() {
    this.element.hidden = this.open;
    if (this.open) this.reset();
  }

  /**
   * A frame of waveforms came.
   * @param {import("./protocol.js").Segment[]} segments
   * @param {number} time  the monitor's, unix s
   * @param {import("./bed.js").Bed[]} beds
   */
  arrived(segments, time, beds) {
    if (!this.open) return;
    this.quickest = Math.min(this.quickest, Date.now() - time * 1000);
    const sent = time * 1000 + this.quickest;
    for (const { index, first, units, leads } of segments) {
      if (beds[index]) this.coming.push({ bed: beds[index], end: first + units.length / leads, sent });
    }
    if (this.coming.length > 20 * KEPT) this.coming.splice(0, 10 * KEPT); // of a hidden tab
  }

  /** A frame was drawn. @param {number} now  ms @param {number} cost  ms */
  drew(now, cost) {
    if (!this.open) return;
    if (this.last > 0) {
      push(this.gaps, now - this.last);
      const usual = quantile(this.gaps.slice(-60), 0.5);
      if (now - this.last > DROPPED * usual) this.dropped += Math.round((now - this.last) / usual) - 1;
    }
    this.last = now;
    push(this.costs, cost);
    const shown = Date.now();
    this.coming = this.coming.filter(({ bed, end, sent }) => {
      if (bed.playout.position < end - 1) return true;
      push(this.latencies, shown - sent);
      return false;
    });
  }

  /** @param {import("./bed.js").Bed[]} beds @param {number} received  bytes since the page was opened */
  show(beds, received) {
    if (!this.open) return;
    if (Number.isNaN(this.received)) this.received = received;
    const seconds = (performance.now() - this.since) / 1000;
    const playing = beds.filter((bed) => bed.ring.end >= 0);
    const buffers = playing.map((bed) => (1000 * (bed.ring.end - bed.playout.position)) / FS);
    const mean = this.gaps.reduce((sum, gap) => sum + gap, 0) / this.gaps.length;
    this.tell("fps", 1000 / mean, 1);
    this.tell("dropped", this.dropped, 0);
    this.tell("cost", quantile(this.costs, 0.5), 2);
    this.tell("cost95", quantile(this.costs, 0.95), 2);
    this.tell("latency", quantile(this.latencies, 0.5), 0);
    this.tell("latency95", quantile(this.latencies, 0.95), 0);
    this.tell("buffer", quantile(buffers, 0.5), 0);
    this.tell("least", Math.min(...buffers), 0);
    this.tell("bytes", (received - this.received) / 1000 / seconds, 1);
  }

  /** @param {string} name @param {number} value @param {number} digits */
  tell(name, value, digits) {
    setText(find(this.element, `[data-figure=${name}]`), Number.isFinite(value) ? value.toFixed(digits) : "---");
  }
}

/** @param {number[]} values @param {number} value */
function push(values, value) {
  values.push(value);
  if (values.length > KEPT) values.shift();
}
