/** What the page knows of one bed. */

import { CAPACITY, Playout, Ring } from "./playout.js";
import { FS } from "./protocol.js";

/** Seconds without news after which what is shown is marked as old. */
export const STALE_S = 2;

/** A trigger and the beat that is found after it are one R wave when closer than this, in 360 Hz samples. */
const SAME_BEAT = 0.15 * FS;

export class Bed {
  /** @param {import("./protocol.js").BedInfo} info */
  constructor(info) {
    this.info = info;
    this.ring = new Ring(info.leads.length);
    this.playout = new Playout();
    /** Beats on the strip, by the 360 Hz index of the R peak. @type {Map<number, {symbol: string, final: boolean}>} */
    this.beats = new Map();
    /** R peaks that have not been played out yet, for the heart. @type {number[]} */
    this.coming = [];
    /** The last of them that has been. */
    this.lastBeat = -Infinity;
    /** @type {import("./protocol.js").Vitals|null} */
    this.vitals = null;
    /** Local time at which the vitals came, s. */
    this.vitalsAt = -Infinity;
    /** Local time at which its audio pause ends, s. */
    this.pausedUntil = -Infinity;
  }

  /** @param {import("./protocol.js").Vitals} vitals @param {number} now  s */
  take(vitals, now) {
    this.vitals = vitals;
    this.vitalsAt = now;
    this.pausedUntil = vitals.pause > 0 ? now + vitals.pause : -Infinity;
  }

  get name() {
    return this.info.alias || this.info.bed;
  }

  /** Whether the samples go on, whatever else became known. @param {import("./protocol.js").BedInfo} info */
  isSameSignal(info) {
    const { signal, fs, leads } = this.info;
    return info.signal === signal && info.fs === fs && info.leads.length === leads.length;
  }

  /** Whether what a hello tells of is what is shown here, and further on. @param {import("./protocol.js").BedInfo} info */
  goesOnWith(info) {
    return this.isSameSignal(info) && info.position >= this.ring.end;
  }

  /** The bed, its signal, and the first sample of it that is lacking: one entry; none before there is a sample. */
  get place() {
    const { bed, signal } = this.info;
    return this.ring.end < 0 ? [] : [/** @type {[string, [string, number]]} */ ([bed, [signal, this.ring.end]])];
  }

  /** @param {number} sample  device sample @returns {number} 360 Hz index */
  indexOf(sample) {
    return Math.round(((sample - this.info.origin) * FS) / this.info.fs);
  }

  /** @param {import("./protocol.js").Segment} segment @param {number} now  s */
  receive(segment, now) {
    this.ring.write(segment);
    this.playout.arrived(now, this.ring.end, segment.units.length / segment.leads);
  }

  /** An R wave is on its way; its place is kept until it is on the screen. @param {number} index */
  expect(index) {
    const known = [this.lastBeat, ...this.coming];
    if (index > this.lastBeat && known.every((other) => !isSameBeat(other, index))) this.coming.push(index);
  }

  /**
   * A beat was found: an R wave that was expected there lies there, and nowhere else. One that was not, and has passed
   * under the pen already, is too late for the heart.
   * @param {number} index
   */
  confirm(index) {
    this.coming = this.coming.map((other) => (isSameBeat(other, index) ? index : other));
    if (index > this.playout.position) this.expect(index);
  }

  /** @returns {boolean} whether an R wave came under the pen since the last call */
  takeHeartbeat() {
    const { position } = this.playout;
    const due = this.coming.filter((index) => index <= position);
    if (due.length === 0) return false;
    this.coming = this.coming.filter((index) => index > position);
    this.lastBeat = Math.max(...due);
    return true;
  }

  /** A beat has a name; a final one takes the place of a provisional one.
   * @param {number} index @param {string} symbol @param {boolean} final */
  nameBeat(index, symbol, final) {
    if (index < this.ring.start) return;
    this.beats.set(index, { symbol, final });
    for (const old of this.beats.keys()) {
      if (old > index - CAPACITY) break;
      this.beats.delete(old);
    }
  }

  /** Age of the newest sample the monitor has, s; Infinity when it never said. @param {number} now  s */
  dataAge(now) {
    return this.vitals ? this.vitals.age + now - this.vitalsAt : Infinity;
  }

  /** Age of the newest sample this page has, s: older than the monitor's when it sheds. @param {number} now */
  traceAge(now) {
    return now - this.playout.heard;
  }
}

/** @param {number} one  360 Hz index @param {number} other */
function isSameBeat(one, other) {
  return Math.abs(one - other) < SAME_BEAT;
}
