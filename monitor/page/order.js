/** Which beds the wall shows, and in which order. */

import { isAcknowledged } from "./alarms.js";

/** @typedef {import("./protocol.js").AlarmEvent} AlarmEvent */

const RANK = { high: 0, medium: 1, low: 2 };
const CALM = 3;

/** How grave a bed's state is: 0 high, 3 nothing that nobody has seen to. @param {AlarmEvent[]} alarms */
export function gravity(alarms) {
  return Math.min(CALM, ...alarms.filter((alarm) => !isAcknowledged(alarm)).map((alarm) => RANK[alarm.priority]));
}

/**
 * Beds in the order of the wall: pinned ones first, then by alarm if so chosen, then by id.
 * @template {{bed: import("./bed.js").Bed}} T
 * @param {T[]} tiles
 * @param {{pins: string[], sort: string}} how
 * @param {(bed: string) => AlarmEvent[]} alarmsOf
 * @returns {T[]}
 */
export function inOrder(tiles, how, alarmsOf) {
  const key = (/** @type {T} */ { bed }) => {
    const { bed: id } = bed.info;
    const pinned = how.pins.includes(id) ? 0 : 1;
    return { pinned, gravity: how.sort === "alarm" ? gravity(alarmsOf(id)) : CALM, id };
  };
  const keyed = tiles.map((tile) => ({ tile, key: key(tile) }));
  keyed.sort(
    ({ key: a }, { key: b }) =>
      a.pinned - b.pinned || a.gravity - b.gravity || a.id.localeCompare(b.id, "en", { numeric: true }),
  );
  return keyed.map(({ tile }) => tile);
}

/**
 * Whether a bed is one that was asked for.
 * @param {import("./bed.js").Bed} bed @param {AlarmEvent[]} alarms @param {string} text
 */
export function matches(bed, alarms, text) {
  const wanted = text.trim().toLowerCase();
  const says = [bed.name, bed.info.bed, ...alarms.map((alarm) => alarm.text)];
  return wanted === "" || says.some((said) => said.toLowerCase().includes(wanted));
}
