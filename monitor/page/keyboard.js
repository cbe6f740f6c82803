/** The wall by keyboard: one tile has the focus, and letters act on it. */

/** @type {Record<string, [number, number]>} columns and rows to go */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @typedef {object} Keys  what a key does; bed is that of the tile with the focus, or of the bed view
 * @property {() => string} shown  bed of the bed view; empty: the wall is shown
 * @property {() => boolean} blocked  whether a dialog is open
 * @property {(bed: string) => void} open
 * @property {() => void} back
 * @property {(bed: string) => void} acknowledge
 * @property {(bed: string|null) => void} pause  null: the whole ward
 * @property {(bed: string) => void} pin
 * @property {() => void} engineer
 * @property {() => void} help
 * @property {() => void} filter
 */

/** @param {HTMLElement} wall @param {Keys} keys */
export function listen(wall, keys) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || keys.blocked()) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("input, select, textarea, [popover]")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const focused = /** @type {HTMLElement|null} */ (target.closest(".tile"))?.dataset.bed ?? "";
    if (act(event, keys.shown() || focused, wall, keys)) event.preventDefault();
  });
}

/**
 * @param {KeyboardEvent} event @param {string} bed @param {HTMLElement} wall @param {Keys} keys
 * @returns {boolean} whether the key did something
 */
function act(event, bed, wall, keys) {
  const arrow = ARROWS[event.key];
  if (arrow && keys.shown() === "") return move(wall, bed, arrow);
  const onTile = /** @type {HTMLElement} */ (event.target).classList.contains("tile");
  switch (event.key.toLowerCase()) {
    case "enter":
      if (!onTile) return false; // a button's own
      keys.open(bed);
      return true;
    case "escape":
      if (keys.shown()) keys.back();
      return keys.shown() !== "";
    case "a":
      if (bed) keys.acknowledge(bed);
      return bed !== "";
    case "p":
      keys.pause(event.shiftKey || !bed ? null : bed);
      return true;
    case "f":
      if (bed) keys.pin(bed);
      return bed !== "";
    case "e":
      keys.engineer();
      return true;
    case "?":
      keys.help();
      return true;
    case "/":
      keys.filter();
      return true;
  }
  return false;
}

/**
 * Move the focus by columns and rows.
 * @param {HTMLElement} wall @param {string} bed @param {[number, number]} by
 */
function move(wall, bed, [right, down]) {
  const tiles = /** @type {HTMLElement[]} */ ([...wall.querySelectorAll(".tile:not([hidden])")]);
  const columns = getComputedStyle(wall).gridTemplateColumns.split(" ").length;
  const from = tiles.findIndex((tile) => tile.dataset.bed === bed);
  const to = from < 0 ? 0 : from + right + down * columns;
  tiles[to]?.focus();
  return tiles.length > 0;
}
