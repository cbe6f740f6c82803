/**
 * The feed from the hub: one websocket, its messages taken apart, and its coming back when it is lost.
 * The layout is that of monitor/feed.py. What was missed meanwhile is asked for and comes first (monitor/docs/websocket.md).
 */

/**
 * @typedef {object} BedInfo
 * @property {number} index      number of the bed in binary frames
 * @property {string} bed        id
 * @property {string[]} leads    names, in the order of the samples
 * @property {number} fs         the device's rate, Hz; events count its samples
 * @property {number} stream     id of the device's current run
 * @property {number} origin     device sample at index 0 of the 360 Hz signal
 * @property {string} signal     names the run of samples that `position` counts
 * @property {number} position   next 360 Hz index
 * @property {boolean} simulated
 * @property {string|null} alias name to show
 * @property {string} profile     preset its limits began with
 * @property {Record<string, number|boolean>} limits  what it is set to; see monitor/profiles.py
 *
 * @typedef {object} Vitals
 * @property {string} bed
 * @property {number|null} heart_rate      bpm
 * @property {string|null} rhythm          WFDB rhythm string without the parenthesis
 * @property {number|null} pvc_per_minute
 * @property {number} age                  seconds since the monitor last heard of the bed
 * @property {number|null} low             limit of the heart rate, bpm
 * @property {number|null} high
 * @property {number} pause                seconds left of its audio pause; 0: there is none
 * @property {number} [late_s]             seconds by which its data is behind; 0: live
 * @property {number|null} [skew_s]        seconds by which the device's clock is ahead; null: unknown
 *
 * @typedef {object} WardEvent
 * @property {string} type
 * @property {string} bed
 * @property {number} sample   device sample
 * @property {number} emitted  device sample whose processing fixed it
 * @property {number} time     seconds since 1970
 * @property {string} signal   of its bed, when it was told
 * @property {string} [symbol]
 * @property {boolean} [final]  false while another name may follow
 * @property {boolean} [paused]  of an audio event: whether the bed's alarms are silent
 * @property {number} [seconds]  and for how long
 * @property {string} [id]       of a shown event: the alarm's
 * @property {string} [by]
 *
 * @typedef {object} Step       what happened to an alarm
 * @property {string} what       a state, or "shown"
 * @property {number} emitted    device sample
 * @property {string} [why]
 * @property {string} [by]
 *
 * @typedef {object} AlarmFields
 * @property {string} id
 * @property {string} code
 * @property {"high"|"medium"|"low"} priority
 * @property {"physiological"|"technical"} kind
 * @property {"raised"|"latched"|"acknowledged"|"cleared"} state
 * @property {string} text
 * @property {number} since    seconds since 1970 at which it was raised
 * @property {string} [reason]
 * @property {"on"|"paused"|"silenced"|"off"} audio
 * @property {string} [by]     who acknowledged it
 * @property {number} [silenced_until]  seconds since 1970, of an acknowledged one
 * @property {Step[]} [history]
 *
 * @typedef {WardEvent & AlarmFields} AlarmEvent
 *
 * @typedef {object} Segment
 * @property {number} index    number of the bed
 * @property {number} leads
 * @property {number} first    360 Hz index of the first sample
 * @property {number} mv       millivolts per unit
 * @property {Int16Array} units  leads side by side within a sample; NO_SAMPLE where there is none
 *
 * @typedef {object} Told       what a frame says beside its waveforms
 * @property {BedInfo[]} [beds]
 * @property {WardEvent[]} [events]
 * @property {Vitals[]} [vitals]
 *
 * @typedef {object} Frame
 * @property {boolean} history  of before the hello: to be drawn, not sounded
 * @property {number} time      the monitor's, seconds since 1970
 * @property {number} tick
 * @property {Told} told
 * @property {Segment[]} segments
 *
 * @typedef {object} Handlers
 * @property {(beds: BedInfo[], alarms: AlarmEvent[]) => void} hello
 * @property {(frame: Frame) => void} frame
 * @property {() => Record<string, [string, number]>} places  bed -> its signal and the first sample that is lacking
 * @property {(reason: string) => void} refused
 */

export const FS = 360;
export const NO_SAMPLE = -32768;

const VERSION = 2;
const HISTORY = 1;
const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 5000;
const SILENCE_MS = 4000;

/**
 * Take a binary frame apart; the samples are views into it.
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 */
export function parseFrame(buffer) {
  const view = new DataView(buffer);
  if (view.getUint16(0) !== 0x5746 || view.getUint8(2) !== VERSION) throw new Error("not a frame");
  const length = view.getUint32(24, true);
  const told = length > 0 ? JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 32, length))) : {};
  const segments = [];
  let at = 32 + ((length + 7) & ~7);
  for (let left = view.getUint32(4, true); left > 0; left--) {
    const leads = view.getUint8(at + 2);
    const n = view.getUint32(at + 4, true);
    segments.push({
      index: view.getUint16(at, true),
      leads,
      first: Number(view.getBigInt64(at + 8, true)),
      mv: view.getFloat32(at + 16, true) / 1000,
      units: new Int16Array(buffer, at + 24, n * leads),
    });
    at += 24 + ((2 * n * leads + 7) & ~7);
  }
  return {
    history: (view.getUint8(3) & HISTORY) !== 0,
    time: view.getFloat64(8, true),
    tick: Number(view.getBigUint64(16, true)),
    told,
    segments,
  };
}

export class Feed {
  /**
   * @param {string} url
   * @param {Handlers} handlers
   */
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    /** Time of the last message (performance.now, ms); of the start while there was none. */
    this.heard = performance.now();
    /** @type {"connecting"|"live"|"outdated"} */
    this.state = "connecting";
    /** @type {WebSocket|null} */
    this.socket = null;
    this.failures = 0;
    /** Which run of the monitor was heard, and the last of its ticks; "" while there was none. */
    this.run = "";
    this.tick = 0;
    /** Received since the page was opened; text counts a byte a character. */
    this.bytes = 0;
    this.connect();
    setInterval(() => this.watch(), 500);
  }

  connect() {
    const again = this.run !== "";
    const socket = new WebSocket(again ? `${this.url}?resume` : this.url);
    this.socket = socket;
    this.opened = performance.now();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (!again) return;
      const { run, tick } = this;
      socket.send(JSON.stringify({ type: "resume", run, tick, beds: this.handlers.places() }));
    };
    socket.onmessage = (message) => {
      if (socket === this.socket) this.receive(message.data);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.retry();
    };
  }

  /** A connection can be dead without having been closed: a pulled cable, a stopped monitor. */
  watch() {
    const now = performance.now();
    if (this.socket && now - Math.max(this.heard, this.opened ?? 0) > SILENCE_MS) {
      const socket = this.socket;
      this.retry();
      socket.close();
    }
  }

  retry() {
    if (this.state === "outdated") return;
    this.socket = null;
    this.state = "connecting";
    const longest = Math.min(RETRY_FIRST_MS * 2 ** this.failures, RETRY_LONGEST_MS);
    this.failures += 1;
    // Jitter, so that all the screens of a ward do not come back in the same instant.
    setTimeout(() => this.connect(), longest * (0.5 + Math.random() / 2));
  }

  /** @param {string|ArrayBuffer} data */
  receive(data) {
    this.heard = performance.now();
    this.bytes += data instanceof ArrayBuffer ? data.byteLength : data.length;
    if (data instanceof ArrayBuffer) {
      const frame = parseFrame(data);
      this.tick = frame.tick;
      this.handlers.frame(frame);
      return;
    }
    const message = JSON.parse(data);
    switch (message.type) {
      case "hello":
        if (message.version !== VERSION) {
          this.state = "outdated";
          this.socket?.close();
          return;
        }
        this.state = "live";
        this.failures = 0;
        if (message.run !== this.run) this.tick = 0;
        this.run = message.run;
        this.handlers.hello(message.beds, message.alarms);
        break;
      case "error":
        this.handlers.refused(message.reason);
        break;
    }
  }

  /**
   * @param {object} command
   * @returns {boolean} whether it could be sent
   */
  send(command) {
    if (this.state !== "live" || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(command));
    return true;
  }
}
