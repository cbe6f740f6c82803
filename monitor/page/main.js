/** The wall: brings feed, tiles and sweep together. */

import { Alarms, clock, find, flash, setText, wasShown } from "./alarms.js";
import { Bed, STALE_S } from "./bed.js";
import { BedView, linkTo, linked } from "./bed-view.js";
import { BedDialog } from "./dialog.js";
import { Engineer } from "./engineer.js";
import { Histories } from "./history.js";
import { listen } from "./keyboard.js";
import { inOrder, matches } from "./order.js";
import { Feed } from "./protocol.js";
import { onSettings, settings, togglePin } from "./settings.js";
import { Sound } from "./sound.js";
import { Sweep } from "./sweep.js";
import { Tile, grid } from "./tiles.js";
import { Elsewhere, applySettings, listenToMenu, showAudio } from "./wall-tools.js";

/** The monitor is heard 20 times a second; this long without a word and it is said to be lost, s. */
const LOST_S = 1.5;
const NOTICE_MS = 6000;
/** Who this screen says it is. */
const BY = "wall";
/** A strip should show this much, mm: what a millimetre is follows from the room there is. */
const STRIP_MM = { width: 125, height: 30 };
const MM_PX = { least: 1.6, most: 7.5 };
/** By alarm, tiles change places no more often than this, ms: nobody should click on the one that just came. */
const REORDER_MS = 3000;

const wall = find(document, "#wall");
const canvas = /** @type {HTMLCanvasElement} */ (find(document, "#waves"));
const banner = find(document, "#banner");
const notice = find(document, "#notice");

/** Beds by their number in binary frames. @type {Bed[]} */
let beds = [];
/** @type {Map<string, Tile>} */
let tiles = new Map();
const alarms = new Alarms();
const histories = new Histories();
const sound = new Sound();
const engineer = new Engineer();
const elsewhere = new Elsewhere((bed) => actions.open(bed));
const filter = /** @type {HTMLInputElement} */ (find(document, "#filter"));
/** Tiles in the order of the wall, those that were filtered out left out. @type {Tile[]} */
let shownTiles = [];
let orderedAt = -Infinity;
/** Where the wall, or the bed view, began when it was laid out: what comes above it moves it. */
let arrangedTop = 0;
const sweep = new Sweep(canvas);
let arrangementDue = false;
/** The monitor's clock less ours, s. */
let clockOffset = 0;
let noticeUntil = 0;
/** What is heard while the monitor is not. @type {Pick<import("./sound.js").AlarmEvent, "audio"|"state"|"priority">[]} */
const LOST = [{ audio: "on", state: "raised", priority: "medium" }];
/** Codes of technical alarms under which nothing is analysed. */
const BLIND = new Set(["NO_DATA", "LEAD_OFF", "CANNOT_ANALYSE", "GAP"]);
/** Alarms that the monitor has been told are shown. @type {Set<string>} */
let toldShown = new Set();

const seconds = () => performance.now() / 1000;
const monitorTime = () => Date.now() / 1000 + clockOffset;

const feed = new Feed(`${location.origin.replace(/^http/, "ws")}/ws`, {
  hello(infos, active) {
    const before = tiles;
    tiles = new Map();
    beds = [];
    alarms.reset(active);
    for (const { bed } of infos) {
      const own = active.filter((alarm) => alarm.bed === bed);
      histories.of(bed).comeBack(own, monitorTime());
    }
    toldShown = new Set();
    for (const info of infos) {
      const known = before.get(info.bed);
      if (known?.bed.goesOnWith(info)) {
        before.delete(info.bed);
        known.bed.info = info;
        known.describe();
        beds[info.index] = known.bed;
        tiles.set(info.bed, known);
      } else {
        addBed(info);
      }
    }
    for (const tile of before.values()) tile.element.remove();
    find(document, "#empty").hidden = infos.length > 0;
    arrangementDue = true;
    showLinked();
  },
  frame({ history, time, told, segments }) {
    clockOffset = time - Date.now() / 1000;
    const now = seconds();
    for (const info of told.beds ?? []) describe(info);
    if (history) {
      for (const segment of segments) beds[segment.index]?.ring.write(segment);
      for (const event of told.events ?? []) if (event.type === "beat") receive(event);
      arrangementDue = true; // drawn anew, and with it what was missed
      return;
    }
    for (const event of told.events ?? []) receive(event);
    engineer.arrived(segments, time, beds);
    for (const segment of segments) beds[segment.index]?.receive(segment, now);
    for (const vitals of told.vitals ?? []) {
      tiles.get(vitals.bed)?.bed.take(vitals, now);
      histories.of(vitals.bed).take(vitals, monitorTime(), vitals.age <= STALE_S && isAnalysed(vitals.bed));
    }
    if (told.events || told.vitals) refresh();
  },
  places: () => Object.fromEntries([...tiles.values()].flatMap(({ bed }) => bed.place)),
  refused(reason) {
    const text = `The monitor refused: ${reason}`;
    if (dialog.say(text)) return;
    notice.textContent = text;
    notice.hidden = false;
    noticeUntil = performance.now() + NOTICE_MS;
  },
});

/** A bed that is new, or that something else became known of. @param {import("./protocol.js").BedInfo} info */
function describe(info) {
  const known = tiles.get(info.bed);
  if (known?.bed.isSameSignal(info)) {
    const leads = known.bed.info.leads.join();
    known.bed.info = info;
    known.describe();
    if (view.shown === info.bed) view.tile?.describe();
    arrangementDue ||= info.leads.join() !== leads;
  } else {
    addBed(info);
    arrangementDue = true;
    showLinked();
  }
  dialog.refill(info.bed);
  find(document, "#empty").hidden = true;
}

/**
 * A new bed, or one whose stream restarted: its old samples mean nothing any more.
 * @param {import("./protocol.js").BedInfo} info
 */
function addBed(info) {
  const bed = new Bed(info);
  beds[info.index] = bed;
  histories.of(info.bed).follow(info.stream);
  tiles.get(info.bed)?.element.remove();
  tiles.set(info.bed, new Tile(bed, actions));
}

/** @param {import("./protocol.js").WardEvent} event */
function receive(event) {
  const bed = tiles.get(event.bed)?.bed;
  if (!bed) return;
  // What was found in samples that are not on the screen any more has no place there.
  if (["trigger", "qrs", "beat"].includes(event.type) && event.signal !== bed.info.signal) return;
  histories.note(event, bed.indexOf(event.sample));
  switch (event.type) {
    case "trigger":
      bed.expect(bed.indexOf(event.sample));
      break;
    case "qrs":
      bed.confirm(bed.indexOf(event.sample));
      break;
    case "beat": {
      const index = bed.indexOf(event.sample);
      bed.nameBeat(index, event.symbol ?? "Q", event.final ?? true);
      sweep.label(bed, index);
      break;
    }
    case "alarm": {
      const alarm = /** @type {import("./protocol.js").AlarmEvent} */ (event);
      const again = alarm.reason === "reminder" ? " again" : "";
      if ((alarms.apply(alarm) || again) && alarm.priority !== "low") {
        find(document, "#spoken").textContent = `${bed.name}: ${alarm.text}${again}`;
      }
      break;
    }
    case "shown":
      alarms.noteShown(event.id ?? "", event.emitted, event.by);
      break;
    case "audio":
      alarms.pause(event.bed, event.paused ?? false);
      bed.pausedUntil = event.paused ? seconds() + (event.seconds ?? 0) : -Infinity;
      break;
  }
}

/** Whether nothing says that a bed's signal cannot be analysed. @param {string} bed */
function isAnalysed(bed) {
  return alarms.of(bed, "technical").every((alarm) => alarm.state === "cleared" || !BLIND.has(alarm.code));
}

/** What a click can do. @type {import("./tiles.js").Actions} */
const actions = {
  acknowledge: (alarm) => feed.send({ type: "acknowledge", bed: alarm.bed, id: alarm.id, by: BY }),
  shown(alarm) {
    if (document.hidden || toldShown.has(alarm.id) || wasShown(alarm)) return;
    if (feed.send({ type: "shown", bed: alarm.bed, id: alarm.id, by: BY })) toldShown.add(alarm.id);
  },
  tell: (command) => feed.send({ ...command, by: BY }),
  open(bed) {
    location.hash = linkTo(bed);
  },
};

const dialog = new BedDialog(
  (bed) => tiles.get(bed)?.bed ?? null,
  (bed) => alarms.all(bed),
  actions,
);

const pauseAll = find(document, "#pause-all");
pauseAll.addEventListener("click", () => {
  actions.tell({ type: "pause", bed: null, on: pauseAll.getAttribute("aria-pressed") !== "true" });
});

const view = new BedView(
  actions,
  (bed) => dialog.open(bed),
  (step) => {
    const ids = inOrder([...tiles.values()], settings, (bed) => alarms.all(bed)).map((tile) => tile.bed.info.bed);
    actions.open(ids[(ids.indexOf(view.shown) + step + ids.length) % ids.length]);
  },
);

/** Show the bed that the address links to, or the wall. */
function showLinked() {
  const was = view.shown;
  view.show(tiles.get(linked(location.hash))?.bed ?? null);
  wall.hidden = view.shown !== "";
  arrangementDue = true;
  if (view.shown === was) return;
  if (view.shown) find(document, "#bed-view .back").focus({ preventScroll: true });
  else tiles.get(was)?.element.focus({ preventScroll: true });
}
addEventListener("hashchange", showLinked);

listen(wall, {
  shown: () => view.shown,
  blocked: () => dialog.shown !== "",
  open: actions.open,
  back: () => actions.open(""),
  acknowledge: (bed) => actions.tell({ type: "acknowledge_all", bed }),
  pause(bed) {
    const left = bed === null ? pauseLeft() : (tiles.get(bed)?.bed.pausedUntil ?? 0) - seconds();
    actions.tell({ type: "pause", bed, on: left <= 0 });
  },
  pin: togglePin,
  engineer: () => engineer.toggle(),
  help: () => find(document, "#help").togglePopover(),
  filter: () => filter.focus(),
});

filter.addEventListener("input", () => {
  arrangementDue = true;
});
listenToMenu(sound);
applySettings();
onSettings(() => {
  applySettings();
  sound.turn(settings.sound);
  arrangementDue = true;
  refresh();
});
sound.turn(settings.sound);
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  arrangementDue = true;
});

/** The ward's audio is paused while every bed's is; it goes on when the first one does. @returns {number} s left */
function pauseLeft() {
  const now = seconds();
  return tiles.size > 0 ? Math.min(...[...tiles.values()].map((tile) => tile.bed.pausedUntil - now)) : 0;
}

/** Which tiles the wall shows, in order. */
function order() {
  const wanted = [...tiles.values()].filter(({ bed }) => matches(bed, alarms.all(bed.info.bed), filter.value));
  return inOrder(wanted, settings, (bed) => alarms.all(bed));
}

/** Lay the tiles out and give the sweep their strips. */
function arrange() {
  arrangementDue = false;
  const ordered = order();
  shownTiles = ordered;
  orderedAt = performance.now();
  for (const tile of tiles.values()) tile.element.hidden = !ordered.includes(tile);
  elsewhere.show(outOfSight());
  arrangedTop = top();
  if (view.tile) {
    view.element.style.setProperty("--room", `${innerHeight - arrangedTop}px`);
    arrangeStrips([view.tile], view.place, true);
    refresh();
    return;
  }
  const room = innerHeight - arrangedTop;
  const { columns, rowHeight } = grid(ordered.length, wall.clientWidth, room);
  wall.style.setProperty("--columns", String(columns));
  wall.style.setProperty("--row", `${rowHeight}px`);
  place(ordered);
  arrangeStrips(ordered, wall, false);
  refresh();
}

/** Where what is shown begins on the page, px. */
function top() {
  return (view.tile ? view.element : wall).getBoundingClientRect().top + scrollY;
}

/** Beds whose alarms cannot be seen now. */
function outOfSight() {
  const seen = view.tile ? [view.tile.bed] : shownTiles.map((tile) => tile.bed);
  const hidden = [...tiles.values()].filter(({ bed }) => !seen.includes(bed));
  return hidden.map(({ bed }) => ({ bed, alarms: alarms.all(bed.info.bed) }));
}

/** Put tiles into their order; none loses the focus by it. @param {Tile[]} ordered */
function place(ordered) {
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  const inPlace = [...wall.querySelectorAll(".tile:not([hidden])")];
  if (inPlace.length === ordered.length && ordered.every((tile, at) => tile.element === inPlace[at])) return;
  wall.append(...ordered.map((tile) => tile.element));
  if (focused && wall.contains(focused)) focused.focus({ preventScroll: true });
}

/**
 * Give the sweep the strips of some tiles, all within one place.
 * @param {Tile[]} ordered @param {HTMLElement} within @param {boolean} paper
 */
function arrangeStrips(ordered, within, paper) {
  if (canvas.parentElement !== within) within.prepend(canvas);
  for (const tile of ordered) tile.fit();

  const frame = within.getBoundingClientRect();
  const strips = ordered.map((tile) => ({
    bed: tile.bed,
    lanes: tile.lanes.map((lane) => {
      const { x, y, width, height } = lane.getBoundingClientRect();
      const gutter = parseFloat(getComputedStyle(lane).paddingLeft);
      return { x: x - frame.x + gutter, y: y - frame.y, width: width - gutter, height };
    }),
  }));
  const lane = strips.find((strip) => strip.lanes.length > 0)?.lanes[0] ?? { width: 0, height: 0 };
  const fitting = Math.min(lane.width / STRIP_MM.width, lane.height / STRIP_MM.height);
  const free = Math.max(MM_PX.least, Math.min(MM_PX.most, fitting));
  // Ruled paper has its lines on whole pixels.
  const mm = paper ? Math.round(5 * free * devicePixelRatio) / (5 * devicePixelRatio) : free;
  within.style.setProperty("--bar", `${settings.gain * mm}px`);
  const { speed, gain } = settings;
  sweep.arrange(within.clientWidth, within.clientHeight, strips, { mm, speed, gain, grid: paper });
}

/** Bring numbers, alarms and the state of the connection up to date. */
function refresh() {
  const now = seconds();
  const time = monitorTime();
  for (const tile of view.tile ? [] : shownTiles) {
    tile.showVitals(now);
    tile.showAudio(now);
    tile.showAlarms(alarms, time);
  }
  view.refresh(histories.of(view.shown), alarms, now, time);
  for (const tile of view.tile ? [view.tile] : shownTiles) sweep.age(tile.bed, tile.stale);
  elsewhere.show(outOfSight());
  if (performance.now() - orderedAt > REORDER_MS) {
    orderedAt = performance.now();
    arrangementDue ||= order().some((tile, at) => tile !== shownTiles[at]);
  }
  const silent = now - feed.heard / 1000;
  const lost = silent > LOST_S || feed.state !== "live";
  const link = find(document, "#link");
  link.dataset.state = feed.state === "live" && lost ? "connecting" : feed.state;
  setText(link, lost ? "offline" : "live");
  banner.hidden = silent <= LOST_S && feed.state !== "outdated";
  if (feed.state === "outdated") {
    setText(banner, "The monitor was updated. Reload this page.");
  } else if (!banner.hidden) {
    setText(banner, `No word from the monitor for ${Math.floor(silent)} s: nothing here is current. Trying again.`);
  }
  setText(find(document, "#clock"), clock(time));
  showCounts();
  sound.update(lost ? LOST : alarms.byId.values());
  showAudio(sound.state, pauseLeft());
  engineer.show(beds, feed.bytes);
  arrangementDue ||= top() !== arrangedTop;
  dialog.refresh(time);
  if (!notice.hidden && performance.now() > noticeUntil) notice.hidden = true;
}

function showCounts() {
  setText(find(document, "#beds"), tiles.size === 1 ? "1 bed" : `${tiles.size} beds`);
  for (const priority of /** @type {const} */ (["high", "medium", "low"])) {
    const chip = find(document, `.count[data-priority="${priority}"]`);
    const count = alarms.waiting(priority);
    chip.hidden = count === 0;
    setText(find(chip, "b"), String(count));
  }
}

/** @param {number} now  ms */
function frame(now) {
  requestAnimationFrame(frame);
  if (arrangementDue) arrange();
  const started = performance.now();
  for (const tile of tiles.values()) {
    const { bed } = tile;
    bed.playout.advance(now / 1000, bed.ring.end);
    const beat = bed.takeHeartbeat();
    const inView = bed === view.tile?.bed;
    if (inView) view.tile?.blink(now, beat);
    else tile.blink(now, beat);
    if (beat && settings.beep && (inView || tiles.size === 1)) sound.beep();
  }
  sweep.draw();
  flash(now);
  engineer.drew(now, performance.now() - started);
}

addEventListener("resize", () => {
  arrangementDue = true;
});
setInterval(refresh, 250);
requestAnimationFrame(frame);
