/**
 * A bed's samples, and which of them is on the screen now.
 *
 * Samples arrive in bursts; the eye wants them at an even pace, and the blinking heart at the R wave it sees. So a bed
 * is played out by sample index, a quarter of a second behind the newest sample.
 */

import { FS, NO_SAMPLE } from "./protocol.js";

/** Samples kept a bed, a power of two: 45 s, more than a sweep across the widest screen. */
export const CAPACITY = 16384;

const BUFFER_S = 0.25;
/** Chunks up to this length fit in the buffer beside the network's jitter; the buffer grows by what is longer. */
const USUAL_CHUNK_S = 0.1;
/** Error beyond which the playout jumps instead of catching up, s. */
const JUMP_S = 0.6;
/** How far the pace may leave 1 while it catches up. */
const MAX_PACE_CHANGE = 0.25;
/** The quickest arrival is sought over one to two of these: follows a device clock 100 ppm off within 1 ms. */
const WINDOW_S = 5;

/** The newest samples of a bed, by 360 Hz index. */
export class Ring {
  /** @param {number} leads */
  constructor(leads) {
    this.leads = leads;
    /** mV, leads side by side; NaN: no sample. */
    this.samples = new Float32Array(CAPACITY * leads).fill(NaN);
    /** Index of the first sample that ever came, and after the newest; -1 before there is one. */
    this.start = -1;
    this.end = -1;
  }

  /** @param {import("./protocol.js").Segment} segment */
  write(segment) {
    const { leads, samples } = this;
    if (segment.leads !== leads) return;
    const n = segment.units.length / leads;
    if (this.end < 0) this.start = this.end = segment.first;
    this.blank(segment.first);
    for (let i = Math.max(0, n - CAPACITY); i < n; i++) {
      const at = ((segment.first + i) & (CAPACITY - 1)) * leads;
      for (let lead = 0; lead < leads; lead++) {
        const units = segment.units[i * leads + lead];
        samples[at + lead] = units === NO_SAMPLE ? NaN : units * segment.mv;
      }
    }
    this.end = Math.max(this.end, segment.first + n);
  }

  /** What never arrived before `first` is a gap, not what was there a lap ago. @param {number} first */
  blank(first) {
    for (let k = Math.max(this.end, first - CAPACITY); k < first; k++) {
      const at = (k & (CAPACITY - 1)) * this.leads;
      this.samples.fill(NaN, at, at + this.leads);
    }
  }
}

/** The clock of one bed: maps the local time to the sample index shown. */
export class Playout {
  constructor() {
    /** Index shown, not whole; -1 before the first sample. */
    this.position = -1;
    /** Time of the last arrival, s. */
    this.heard = -Infinity;
    this.longest = 0;
    // An arrival's lateness is its time less the time its newest sample stands for; the least over a window tells where
    // the device's clock is, however bursty the way here.
    this.least = Infinity;
    this.leastBefore = Infinity;
    this.windowEnd = 0;
    this.advanced = 0;
  }

  /**
   * @param {number} now  local time, s
   * @param {number} end  index after the newest sample
   * @param {number} n    samples that arrived
   */
  arrived(now, end, n) {
    const lateness = now - end / FS;
    if (now > this.windowEnd) {
      this.leastBefore = this.least;
      this.least = Infinity;
      this.windowEnd = now + WINDOW_S;
      this.longest *= 0.5;
    }
    this.least = Math.min(this.least, lateness);
    this.longest = Math.max(this.longest, Math.min(n / FS, 1));
    this.heard = now;
  }

  /**
   * Move on to `now`.
   * @param {number} now  local time, s
   * @param {number} end  index after the newest sample: never shown past it
   */
  advance(now, end) {
    if (end < 0) return;
    const delay = BUFFER_S + Math.max(0, this.longest - USUAL_CHUNK_S);
    const target = (now - Math.min(this.least, this.leastBefore) - delay) * FS;
    const elapsed = now - this.advanced;
    this.advanced = now;
    const error = (target - this.position) / FS - elapsed;
    if (this.position < 0 || Math.abs(error) > JUMP_S) {
      this.position = target;
    } else {
      const change = Math.max(-MAX_PACE_CHANGE, Math.min(MAX_PACE_CHANGE, error));
      this.position += elapsed * (1 + change) * FS;
    }
    this.position = Math.max(0, Math.min(this.position, end));
  }
}
