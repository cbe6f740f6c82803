/** Active alarms: their order, how they look, and the click that acknowledges one. */

/** @typedef {import("./protocol.js").AlarmEvent} AlarmEvent */

const RANK = { high: 0, medium: 1, low: 2 };

/** How long an acknowledged alarm stays silent, s. */
const SILENCE_S = 120;

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
    const isNew = !this.byId.has(alarm.id);
    if (alarm.state === "cleared") this.byId.delete(alarm.id);
    else this.byId.set(alarm.id, alarm);
    return isNew && alarm.state !== "cleared";
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

/** A row of alarm lines; it shows as many as there is room for and counts the rest. */
export class AlarmRow {
  /**
   * @param {Element} parent
   * @param {(alarm: AlarmEvent) => boolean} acknowledge
   */
  constructor(parent, acknowledge) {
    this.parent = parent;
    this.acknowledge = acknowledge;
    /** @type {Map<string, AlarmLine>} */
    this.lines = new Map();
    this.more = document.createElement("span");
    this.more.className = "more";
  }

  /** @param {AlarmEvent[]} alarms  in order @param {number} room  lines @param {number} time  the monitor's, unix s */
  show(alarms, room, time) {
    const shown = alarms.slice(0, room);
    for (const [id, line] of this.lines) {
      if (shown.some((alarm) => alarm.id === id)) continue;
      line.element.remove();
      this.lines.delete(id);
    }
    for (const [place, alarm] of shown.entries()) {
      let line = this.lines.get(alarm.id);
      if (!line) {
        line = new AlarmLine(this.acknowledge);
        this.lines.set(alarm.id, line);
      }
      // A node is moved only when its place changed: a click begun on it must end on it.
      if (this.parent.children[place] !== line.element) {
        this.parent.insertBefore(line.element, this.parent.children[place] ?? null);
      }
      line.show(alarm, time);
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

  /** @param {AlarmEvent} alarm @param {number} time */
  show(alarm, time) {
    const { element } = this;
    if (alarm !== this.alarm) {
      this.alarm = alarm;
      element.classList.remove("asked");
      element.dataset.priority = alarm.priority;
      element.dataset.state = alarm.state;
      element.title = isAcknowledged(alarm) ? alarm.text : `${alarm.text} (click to acknowledge)`;
      this.text.textContent = alarm.text;
      this.time.textContent = clock(alarm.since);
    }
    setText(this.state, describe(alarm, time));
  }
}

/** @param {AlarmEvent} alarm @param {number} time */
function describe(alarm, time) {
  if (alarm.state === "latched") return "ended";
  if (!isAcknowledged(alarm)) return "";
  const left = Math.ceil(alarm.time + SILENCE_S - time);
  return left > 0 ? `✓ ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "✓";
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
