/**
 * All waveforms on one canvas, drawn as an erase-bar sweep: each frame wipes a little ahead of the pen and draws only
 * the samples that became due since the last.
 *
 * 25 mm/s and 10 mm/mV, unless others are chosen, whatever a millimetre is on this screen: so 0.4 s across is as long
 * as 1 mV is high.
 */

import { FS } from "./protocol.js";

const ERASE_MM = 3;
/** The trace of a bed whose data is old: dashes, px, and how strongly they show. */
const OLD = { dash: [4, 4], alpha: 0.5 };
/** How strongly the letter of a provisional name shows. */
const PROVISIONAL = 0.6;

/** Height kept free above the first lead for the letters of beats, px. style.css knows it too. */
const LABEL_BAND = 13;
/** Part of a lane that lies below 0 mV: R waves point up, most of the time. style.css knows it too. */
const BELOW_ZERO = 0.4;
/** Canvases beyond this many pixels are refused by some browsers; a long wall is drawn coarser. */
const MAX_PIXELS = 16e6;

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Box  px, within the canvas
 * @typedef {{bed: import("./bed.js").Bed, lanes: Box[]}} Strip  one lane for each lead shown; none yet, maybe
 * @typedef {{mm: number, speed: number, gain: number, grid: boolean}} Scale
 *   px a millimetre, mm/s, mm/mV, and whether the paper has an ECG's grid: 1 mm and 5 mm
 */

/** Where 0 mV lies in a lane, px. @param {Box} lane @param {number} place  0: the first, with letters above it */
function zeroOf(lane, place) {
  const top = lane.y + (place === 0 ? LABEL_BAND : 0) + 1;
  const bottom = lane.y + lane.height - 1;
  return bottom - (bottom - top) * BELOW_ZERO;
}

/** One bed's strip. */
class Trace {
  /** @param {Strip} strip @param {Scale} scale */
  constructor(strip, { mm, speed, gain }) {
    this.bed = strip.bed;
    this.lanes = strip.lanes;
    const [first] = strip.lanes;
    this.left = first.x;
    this.step = (speed * mm) / FS;
    this.mv = gain * mm;
    /** Samples in one sweep, and in the erase bar. */
    this.span = Math.max(2, Math.floor(first.width / this.step));
    this.gap = Math.ceil((ERASE_MM * FS) / speed);
    this.top = first.y;
    this.height = strip.lanes[strip.lanes.length - 1].y + strip.lanes[strip.lanes.length - 1].height - first.y;
    /** Index after the last sample drawn. */
    this.drawn = -1;
    /** What each lane is drawn on. @type {(string|CanvasPattern)[]} */
    this.papers = [];
    this.old = false;
    /** Beats whose R peak is still to be drawn. @type {number[]} */
    this.waiting = [];
  }

  /** @param {number} index @returns {number} px */
  x(index) {
    return this.left + (((index % this.span) + this.span) % this.span) * this.step;
  }
}

export class Sweep {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    /** @type {Map<import("./bed.js").Bed, Trace>} */
    this.traces = new Map();
    this.ratio = 1;
    this.ink = "";
    this.paper = "";
    /** @type {Record<string, string>} */
    this.letters = {};
  }

  /**
   * Take a new arrangement of strips and draw what they show now.
   * @param {number} width   px
   * @param {number} height  px
   * @param {Strip[]} strips
   * @param {Scale} scale
   */
  arrange(width, height, strips, scale) {
    this.ratio = Math.min(devicePixelRatio, Math.sqrt(MAX_PIXELS / (width * height)));
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    this.ink = this.colour("--ecg");
    this.paper = this.colour("--ground");
    for (const symbol of "NSVFQ") this.letters[symbol] = this.colour(`--beat-${symbol.toLowerCase()}`);
    const { mm, grid } = scale;
    const { context } = this;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.fillStyle = this.paper;
    context.fillRect(0, 0, width, height);
    context.lineWidth = Math.max(1, Math.min(1.75, mm * 0.45));
    context.lineJoin = "round";
    context.font = `600 ${mm < 2.2 ? 9 : mm < 5 ? 10.5 : 12}px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "top";
    const drawable = strips.filter((strip) => strip.lanes.length > 0);
    this.traces = new Map(drawable.map((strip) => [strip.bed, new Trace(strip, scale)]));
    const tile = grid ? this.squares(mm) : null;
    for (const trace of this.traces.values()) {
      trace.papers = trace.lanes.map((lane, place) => (tile ? this.patternOf(tile, lane, place) : this.paper));
      if (tile) this.wipe(trace, 0, trace.span);
    }
    this.draw();
    for (const trace of this.traces.values()) {
      for (const index of trace.bed.beats.keys()) this.label(trace.bed, index);
    }
  }

  /** What a colour of the style sheet is now, light or dark. @param {string} name */
  colour(name) {
    this.canvas.style.color = `var(${name})`;
    return getComputedStyle(this.canvas).color;
  }

  /** Five by five millimetres of ECG paper. @param {number} mm  px */
  squares(mm) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = Math.round(5 * mm * this.ratio);
    const context = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d", { alpha: false }));
    context.fillStyle = this.colour("--paper");
    context.fillRect(0, 0, tile.width, tile.height);
    context.fillStyle = this.colour("--grid-fine");
    for (let line = 1; line < 5; line++) {
      const at = Math.round((line * tile.width) / 5);
      context.fillRect(at, 0, 1, tile.height);
      context.fillRect(0, at, tile.width, 1);
    }
    context.fillStyle = this.colour("--grid");
    context.fillRect(0, 0, 1, tile.height);
    context.fillRect(0, 0, tile.width, 1);
    return tile;
  }

  /** That paper over a lane, a line at 0 mV. @param {HTMLCanvasElement} tile @param {Box} lane @param {number} place */
  patternOf(tile, lane, place) {
    const pattern = /** @type {CanvasPattern} */ (this.context.createPattern(tile, "repeat"));
    const whole = (/** @type {number} */ px) => Math.round(px * this.ratio) / this.ratio;
    const origin = new DOMMatrix().translate(whole(lane.x), whole(zeroOf(lane, place)));
    pattern.setTransform(origin.scale(1 / this.ratio));
    return pattern;
  }

  /** What is on the strip of a bed is old, or not any more. @param {import("./bed.js").Bed} bed @param {boolean} old */
  age(bed, old) {
    const trace = this.traces.get(bed);
    if (!trace || trace.old === old || trace.drawn < 0) return;
    trace.old = old;
    const { context } = this;
    const from = Math.max(trace.drawn - trace.span + trace.gap, 0);
    this.wipe(trace, from, trace.drawn + trace.gap);
    context.strokeStyle = this.ink;
    context.globalAlpha = old ? OLD.alpha : 1;
    context.setLineDash(old ? OLD.dash : []);
    context.beginPath();
    this.line(trace, from + 1, trace.drawn);
    context.stroke();
    context.globalAlpha = 1;
    context.setLineDash([]);
    for (const index of bed.beats.keys()) this.label(bed, index);
  }

  /** Draw what became due. */
  draw() {
    const { context } = this;
    context.strokeStyle = this.ink;
    context.beginPath();
    for (const trace of this.traces.values()) {
      const due = Math.floor(trace.bed.playout.position);
      if (due <= trace.drawn || due < 0) continue;
      // First time, or back after the tab was hidden: at most one sweep, the erase bar left out.
      const from = Math.max(trace.drawn, due - trace.span + trace.gap, 0);
      this.wipe(trace, from + trace.gap, due + trace.gap);
      this.line(trace, from, due);
      trace.drawn = due;
    }
    context.stroke();
    for (const trace of this.traces.values()) {
      if (trace.waiting.length > 0) this.writeDue(trace);
    }
  }

  /** Clear the columns of samples [from, to); the line's own width reaches over both ends of the strip. @param {Trace} trace @param {number} from @param {number} to */
  wipe(trace, from, to) {
    for (let k = from; k < to; ) {
      const lap = k - (k % trace.span) + trace.span;
      const end = Math.min(to, lap);
      const left = Math.floor((trace.x(k) - (k % trace.span === 0 ? 2 : 0)) * this.ratio) / this.ratio;
      const right = trace.x(end - 1) + trace.step + (end === lap ? 2 : 0);
      const width = Math.ceil((right - left) * this.ratio) / this.ratio;
      if (trace.papers[0] === this.paper) {
        this.context.fillStyle = this.paper;
        this.context.fillRect(left, trace.top, width, trace.height);
      } else {
        for (const [place, lane] of trace.lanes.entries()) {
          this.context.fillStyle = trace.papers[place];
          this.context.fillRect(left, lane.y, width, lane.height);
        }
      }
      k = end;
    }
  }

  /** Add samples [from, to) to the path. @param {Trace} trace @param {number} from @param {number} to */
  line(trace, from, to) {
    const { context } = this;
    const { ring } = trace.bed;
    const { leads, samples } = ring;
    const mask = samples.length / leads - 1;
    for (const [lead, lane] of trace.lanes.entries()) {
      const head = lead === 0 ? LABEL_BAND : 0;
      const top = lane.y + head + 1;
      const bottom = lane.y + lane.height - 1;
      const zero = zeroOf(lane, lead);
      let penDown = false;
      let column = (from - 1 + trace.span) % trace.span;
      for (let k = from - 1; k < to; k++, column++) {
        if (column === trace.span) {
          column = 0;
          penDown = false;
        }
        const mv = samples[(k & mask) * leads + lead];
        if (mv !== mv) {
          penDown = false;
          continue;
        }
        const x = trace.left + column * trace.step;
        const y = Math.max(top, Math.min(bottom, zero - mv * trace.mv));
        if (penDown) context.lineTo(x, y);
        else context.moveTo(x, y);
        penDown = true;
      }
    }
  }

  /**
   * Write the letter of a beat above its R peak, as soon as that is drawn; a changed letter replaces the old one.
   * @param {import("./bed.js").Bed} bed
   * @param {number} index  360 Hz index of the R peak
   */
  label(bed, index) {
    const trace = this.traces.get(bed);
    if (!trace || trace.waiting.includes(index)) return;
    trace.waiting.push(index);
  }

  /** @param {Trace} trace */
  writeDue(trace) {
    const half = Math.ceil(5 / trace.step);
    trace.waiting = trace.waiting.filter((index) => {
      if (index + half >= trace.drawn) return true;
      if (trace.drawn - index < trace.span - trace.gap - half) this.write(trace, index);
      return false;
    });
  }

  /** @param {Trace} trace @param {number} index */
  write(trace, index) {
    const beat = trace.bed.beats.get(index);
    if (beat === undefined) return;
    const right = trace.left + trace.span * trace.step;
    const x = Math.max(trace.left + 5, Math.min(right - 5, trace.x(index)));
    this.context.fillStyle = trace.papers[0];
    this.context.fillRect(x - 5, trace.top, 10, LABEL_BAND);
    this.context.fillStyle = this.letters[beat.symbol] ?? this.ink;
    this.context.globalAlpha = beat.final ? 1 : PROVISIONAL;
    this.context.fillText(beat.symbol, x, trace.top + 1);
    this.context.globalAlpha = 1;
  }
}
