/** Active alarms: their order, how they look, and the click that acknowledges one. */

/** @typedef {import("./protocol.js").AlarmEvent} AlarmEvent */

const RANK = { high: 0, medium: 1, low: 2 };

const HIGH_HALF_PERIOD_MS = 250;
const MEDIUM_HALF_PERIOD_MS = 1000;

/** What is active on the ward. */
export class Alarms {
  constructor() {
    /** @type {Map<string, AlarmEvent>} */
    this.byId = new Map();
  }

  /** Start from what the monitor says is active. @param {AlarmEvent[]} alarms */
  reset(alarms) {
    this.byId = new Map(alarms.map((alarm) => [alarm.id, alarm]));
  }

  /** @param {AlarmEvent} alarm @returns {boolean} whether it was not active before */
  apply(alarm) {
    const known = this.byId.get(alarm.id);
    if (alarm.state === "cleared") {
      this.byId.delete(alarm.id);
      return false;
    }
    const { state, emitted, reason, by } = alarm;
    const history = [...(known?.history ?? []), { what: state, emitted, why: reason, by }];
    this.byId.set(alarm.id, { ...alarm, history });
    return !known;
  }

  /** A screen said that it shows an alarm. @param {string} id @param {number} emitted @param {string} [by] */
  noteShown(id, emitted, by) {
    const alarm = this.byId.get(id);
    if (alarm) this.byId.set(id, { ...alarm, history: [...(alarm.history ?? []), { what: "shown", emitted, by }] });
  }

  /** The sound of a bed's alarms was paused, or goes on. @param {string} bed @param {boolean} paused */
  pause(bed, paused) {
    for (const alarm of this.byId.values()) {
      if (alarm.bed !== bed || isAcknowledged(alarm)) continue;
      this.byId.set(alarm.id, { ...alarm, audio: paused ? "paused" : "on" });
    }
  }

  /**
   * A bed's alarms of a kind: those nobody has seen to first, then by priority, then the newest.
   * @param {string} bed
   * @param {AlarmEvent["kind"]} kind
   * @returns {AlarmEvent[]}
   */
  of(bed, kind) {
    return [...this.byId.values()]
      .filter((alarm) => alarm.bed === bed && alarm.kind === kind)
      .sort(
        (a, b) =>
          Number(isAcknowledged(a)) - Number(isAcknowledged(b)) ||
          RANK[a.priority] - RANK[b.priority] ||
          b.since - a.since,
      );
  }

  /** All of a bed's alarms, those of the patient first. @param {string} bed */
  all(bed) {
    return [...this.of(bed, "physiological"), ...this.of(bed, "technical")];
  }

  /** How many of a priority wait to be acknowledged. @param {AlarmEvent["priority"]} priority */
  waiting(priority) {
    let count = 0;
    for (const alarm of this.byId.values()) {
      if (alarm.priority === priority && alarm.kind === "physiological" && !isAcknowledged(alarm)) count += 1;
    }
    return count;
  }
}

/** @param {AlarmEvent} alarm */
export function isAcknowledged(alarm) {
  return alarm.state === "acknowledged";
}

/** @param {AlarmEvent} alarm */
export function wasShown(alarm) {
  return alarm.history?.some((step) => step.what === "shown") ?? false;
}

/**
 * What happened to an alarm, a line each.
 * @param {AlarmEvent} alarm
 * @param {number} fs  of the device, Hz
 */
export function story(alarm, fs) {
  const steps = alarm.history ?? [];
  return steps.map(({ what, emitted, why, by }) => {
    const after = `+${countDown((emitted - steps[0].emitted) / fs)}`;
    if (what === "shown") return `${after} shown${by ? ` by ${by}` : ""}`;
    return `${after} ${why && (what === "acknowledged" || why === "reminder") ? why : what}`;
  });
}

/** A row of alarm lines; it shows as many as there is room for and counts the rest. */
export class AlarmRow {
  /**
   * @param {Element} parent
   * @param {import("./tiles.js").Actions} actions
   */
  constructor(parent, actions) {
    this.parent = parent;
    this.actions = actions;
    /** @type {Map<string, AlarmLine>} */
    this.lines = new Map();
    this.more = document.createElement("span");
    this.more.className = "more";
  }

  /**
   * @param {AlarmEvent[]} alarms  in order
   * @param {number} room  lines
   * @param {number} time  the monitor's, unix s
   * @param {number} fs  of the device, Hz
   */
  show(alarms, room, time, fs) {
    const shown = alarms.slice(0, room);
    for (const [id, line] of this.lines) {
      if (shown.some((alarm) => alarm.id === id)) continue;
      line.element.remove();
      this.lines.delete(id);
    }
    for (const [place, alarm] of shown.entries()) {
      let line = this.lines.get(alarm.id);
      if (!line) {
        line = new AlarmLine(this.actions.acknowledge);
        this.lines.set(alarm.id, line);
      }
      // A node is moved only when its place changed: a click begun on it must end on it.
      if (this.parent.children[place] !== line.element) {
        this.parent.insertBefore(line.element, this.parent.children[place] ?? null);
      }
      line.show(alarm, time, fs);
      this.actions.shown(alarm);
    }
    const hidden = alarms.slice(room);
    if (hidden.length > 0) {
      this.more.textContent = `+${hidden.length}`;
      this.more.title = hidden.map((alarm) => alarm.text).join("\n");
      this.parent.append(this.more);
    } else {
      this.more.remove();
    }
  }
}

/** One alarm, for as long as it is active. */
class AlarmLine {
  /** @param {(alarm: AlarmEvent) => boolean} acknowledge */
  constructor(acknowledge) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("alarm"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLButtonElement} */ (copy.firstElementChild);
    this.text = find(this.element, ".text");
    this.state = find(this.element, ".state");
    this.time = find(this.element, "time");
    /** @type {AlarmEvent|null} */
    this.alarm = null;
    this.element.addEventListener("click", () => {
      if (!this.alarm || isAcknowledged(this.alarm)) return;
      this.element.classList.toggle("asked", acknowledge(this.alarm));
    });
  }

  /** @param {AlarmEvent} alarm @param {number} time @param {number} fs */
  show(alarm, time, fs) {
    const { element } = this;
    if (alarm !== this.alarm) {
      this.alarm = alarm;
      element.classList.remove("asked");
      element.dataset.priority = alarm.priority;
      element.dataset.state = alarm.state;
      element.dataset.audio = alarm.audio;
      const hint = isAcknowledged(alarm) ? "" : " (click to acknowledge)";
      element.title = [`${alarm.text}${hint}`, ...story(alarm, fs)].join("\n");
      this.text.textContent = alarm.text;
      this.time.textContent = clock(alarm.since);
    }
    setText(this.state, describe(alarm, time));
  }
}

/** @param {AlarmEvent} alarm @param {number} time */
function describe(alarm, time) {
  if (alarm.state === "latched") return "ended";
  if (!isAcknowledged(alarm)) return alarm.reason === "reminder" ? "again" : "";
  const left = (alarm.silenced_until ?? 0) - time;
  return left > 0 ? `✓ ${countDown(left)}` : "✓";
}

/** Minutes and seconds. @param {number} seconds */
export function countDown(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Flash all alarms of a priority in step: 2 Hz high, 0.5 Hz medium. @param {number} now  ms */
export function flash(now) {
  const { dataset } = document.documentElement;
  const high = Math.floor(now / HIGH_HALF_PERIOD_MS) % 2 ? "off" : "on";
  const medium = Math.floor(now / MEDIUM_HALF_PERIOD_MS) % 2 ? "off" : "on";
  if (dataset.high !== high) dataset.high = high;
  if (dataset.medium !== medium) dataset.medium = medium;
}

/** Time of day. @param {number} unix  seconds since 1970 */
export function clock(unix) {
  return new Date(unix * 1000).toTimeString().slice(0, 8);
}

/** @param {ParentNode} parent @param {string} selector @returns {HTMLElement} */
export function find(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}

/** @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
