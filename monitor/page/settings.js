/** How this screen shows the ward: kept by the browser, no business of the monitor. */

/**
 * @typedef {object} Settings
 * @property {"bed"|"alarm"} sort
 * @property {number} gain    mm/mV
 * @property {number} speed   mm/s
 * @property {"auto"|"1"|"2"} leads  as many as there is room for, or so many
 * @property {"auto"|"light"|"dark"} theme
 * @property {boolean} sound
 * @property {boolean} beep   whether R waves are heard
 * @property {string[]} pins  beds that come first
 */

const KEY = "wardbeat";

/** @type {Settings} */
const DEFAULTS = { sort: "bed", gain: 10, speed: 25, leads: "auto", theme: "auto", sound: true, beep: false, pins: [] };

/** What each may be; what a browser kept that is none of these is forgotten. @type {Record<string, unknown[]>} */
const CHOICES = {
  sort: ["bed", "alarm"],
  gain: [5, 10, 20],
  speed: [12.5, 25, 50],
  leads: ["auto", "1", "2"],
  theme: ["auto", "light", "dark"],
  sound: [true, false],
  beep: [true, false],
};

/** @type {Settings} */
export const settings = { ...DEFAULTS, ...kept() };

/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {() => void} listener  called after each change */
export function onSettings(listener) {
  listeners.add(listener);
}

/** Change some. @param {Partial<Settings>} changes */
export function set(changes) {
  Object.assign(settings, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing: it holds until the page is closed.
  }
  for (const listener of listeners) listener();
}

/** Put a bed first, or back in its place. @param {string} bed */
export function togglePin(bed) {
  const others = settings.pins.filter((pinned) => pinned !== bed);
  set({ pins: others.length < settings.pins.length ? others : [...others, bed] });
}

/** Take what was chosen in a form; the value gets the type of the setting. @param {string} name @param {string} value */
export function choose(name, value) {
  const chosen = CHOICES[name]?.find((choice) => String(choice) === value);
  if (chosen !== undefined) set({ [name]: chosen });
}

/** @returns {Partial<Settings>} */
function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const known = Object.entries(found).filter(([name, value]) => CHOICES[name]?.includes(value));
    const isId = (/** @type {unknown} */ pin) => typeof pin === "string";
    const pins = Array.isArray(found.pins) ? found.pins.filter(isId) : [];
    return { ...Object.fromEntries(known), pins };
  } catch {
    return {};
  }
}
