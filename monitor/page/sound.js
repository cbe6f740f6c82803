/** What the wall sounds like: the gravest alarm that nobody has seen to, and whether any sound gets out at all. */

import { BEEP, BURSTS, TEST_TONE, lengthOf, playBurst, playTone } from "./bursts.js";

/** @typedef {import("./protocol.js").AlarmEvent & {late?: boolean}} AlarmEvent */
/** @typedef {Pick<AlarmEvent, "audio"|"state"|"priority"|"late">} Audible */
/** @typedef {"high"|"medium"|"low"} Priority */

const PRIORITIES = /** @type {Priority[]} */ (["high", "medium", "low"]);
/** Between asking for a sound and hearing it, s. */
const AHEAD_S = 0.02;

/** Whether an alarm is one to be heard. @param {Audible} alarm */
export function sounds(alarm) {
  return alarm.audio === "on" && alarm.state !== "acknowledged" && alarm.state !== "cleared" && !alarm.late;
}

/** The gravest priority that sounds; null: none does. @param {Iterable<Audible>} alarms @returns {Priority|null} */
export function gravest(alarms) {
  const heard = new Set([...alarms].filter(sounds).map((alarm) => alarm.priority));
  return PRIORITIES.find((priority) => heard.has(priority)) ?? null;
}

export class Sound {
  /**
   * @param {() => BaseAudioContext & {resume(): Promise<void>}} makeContext
   */
  constructor(makeContext = () => new AudioContext({ latencyHint: "interactive" })) {
    this.context = makeContext();
    /** Whether this screen is to sound at all. */
    this.on = true;
    /** Whether the test tone was heard since the page was opened. */
    this.tested = false;
    /** The burst that is heard, or was last. @type {Priority|null} */
    this.priority = null;
    /** Bursts begun since the page was opened, by priority. */
    this.played = { high: 0, medium: 0, low: 0 };
    this.beeps = 0;
    /** Time of the context at which the burst is over, and the next one due, s. */
    this.over = -Infinity;
    this.due = -Infinity;
    this.silence = () => {};
    for (const type of ["pointerdown", "keydown", "touchend"]) {
      addEventListener(type, () => this.wake(), { capture: true, passive: true });
    }
  }

  /** @returns {"on"|"off"|"blocked"} whether an alarm would be heard */
  get state() {
    if (!this.on) return "off";
    return this.context.state === "running" ? "on" : "blocked";
  }

  /** Browsers let a page sound once somebody has touched it. */
  async wake() {
    if (!this.on) return;
    if (this.context.state !== "running") await this.context.resume();
    if (!this.tested) this.test();
  }

  /** @param {boolean} on */
  turn(on) {
    if (on === this.on) return;
    this.on = on;
    if (!on) this.stop();
  }

  /** Let the test tone be heard. @returns {boolean} whether it could be */
  test() {
    if (this.state !== "on") return false;
    this.tested = true;
    playTone(this.context, this.context.destination, TEST_TONE, this.context.currentTime + AHEAD_S);
    return true;
  }

  /** An R wave came under the pen. */
  beep() {
    if (this.state !== "on") return;
    this.beeps += 1;
    playTone(this.context, this.context.destination, BEEP, this.context.currentTime);
  }

  /** Sound what has to be: called often, and at once when an alarm changes. @param {Iterable<Audible>} alarms */
  update(alarms) {
    const now = this.context.currentTime;
    const priority = this.state === "on" ? gravest(alarms) : null;
    if (priority === null) {
      this.stop();
      return;
    }
    // A graver one cuts in; a lesser one waits until the burst is over, and then begins with its own.
    const graver = this.priority === null || PRIORITIES.indexOf(priority) < PRIORITIES.indexOf(this.priority);
    const lesser = !graver && priority !== this.priority && now >= this.over;
    if (!graver && !lesser && now < this.due) return;
    this.silence();
    this.priority = priority;
    const burst = BURSTS[priority];
    this.silence = playBurst(this.context, this.context.destination, burst, now + AHEAD_S);
    this.played[priority] += 1;
    this.over = now + AHEAD_S + lengthOf(burst);
    this.due = this.over + burst.interval;
  }

  stop() {
    this.silence();
    this.silence = () => {};
    this.priority = null;
    this.over = this.due = -Infinity;
  }
}
