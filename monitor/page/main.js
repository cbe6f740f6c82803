/** The wall: brings feed, tiles and sweep together. */

import { Alarms, clock, countDown, find, flash, setText, wasShown } from "./alarms.js";
import { Bed } from "./bed.js";
import { BedDialog } from "./dialog.js";
import { Feed } from "./protocol.js";
import { Sweep } from "./sweep.js";
import { Tile, grid } from "./tiles.js";

/** The monitor is heard 20 times a second; this long without a word and it is said to be lost, s. */
const LOST_S = 1.5;
const NOTICE_MS = 6000;
/** Who this screen says it is. */
const BY = "wall";
/** A strip should show this much, mm: what a millimetre is follows from the room there is. */
const STRIP_MM = { width: 125, height: 30 };
const MM_PX = { least: 1.6, most: 7.5 };

const wall = find(document, "#wall");
const canvas = /** @type {HTMLCanvasElement} */ (find(document, "#waves"));
const banner = find(document, "#banner");
const notice = find(document, "#notice");

/** Beds by their number in binary frames. @type {Bed[]} */
let beds = [];
/** @type {Map<string, Tile>} */
let tiles = new Map();
const alarms = new Alarms();
const sweep = new Sweep(canvas);
let arrangementDue = false;
/** The monitor's clock less ours, s. */
let clockOffset = 0;
let noticeUntil = 0;
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
    for (const segment of segments) beds[segment.index]?.receive(segment, now);
    for (const vitals of told.vitals ?? []) tiles.get(vitals.bed)?.bed.take(vitals, now);
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
    arrangementDue ||= info.leads.join() !== leads;
  } else {
    addBed(info);
    arrangementDue = true;
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
  tiles.get(info.bed)?.element.remove();
  tiles.set(info.bed, new Tile(bed, actions));
}

/** @param {import("./protocol.js").WardEvent} event */
function receive(event) {
  const bed = tiles.get(event.bed)?.bed;
  if (!bed) return;
  // What was found in samples that are not on the screen any more has no place there.
  if (["trigger", "qrs", "beat"].includes(event.type) && event.signal !== bed.info.signal) return;
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

/** What a click can do. @type {import("./tiles.js").Actions} */
const actions = {
  acknowledge: (alarm) => feed.send({ type: "acknowledge", bed: alarm.bed, id: alarm.id, by: BY }),
  shown(alarm) {
    if (document.hidden || toldShown.has(alarm.id) || wasShown(alarm)) return;
    if (feed.send({ type: "shown", bed: alarm.bed, id: alarm.id, by: BY })) toldShown.add(alarm.id);
  },
  tell: (command) => feed.send({ ...command, by: BY }),
  open: (bed) => dialog.open(bed),
};

const dialog = new BedDialog(
  (bed) => tiles.get(bed)?.bed ?? null,
  (bed) => [...alarms.of(bed, "physiological"), ...alarms.of(bed, "technical")],
  actions,
);

const pauseAll = find(document, "#pause-all");
pauseAll.addEventListener("click", () => {
  actions.tell({ type: "pause", bed: null, on: pauseAll.getAttribute("aria-pressed") !== "true" });
});

/** The ward's audio is paused while every bed's is; it goes on when the first one does. */
function showAudio() {
  const now = seconds();
  const left = Math.min(...[...tiles.values()].map((tile) => tile.bed.pausedUntil - now));
  const paused = tiles.size > 0 && left > 0;
  pauseAll.setAttribute("aria-pressed", String(paused));
  setText(find(pauseAll, ".text"), paused ? "Audio paused" : "Audio on");
  setText(find(pauseAll, "b"), paused ? countDown(left) : "");
  pauseAll.title = paused ? "Let alarms sound again" : "Pause the sound of all alarms for two minutes";
}

/** Lay the tiles out and give the sweep their strips. */
function arrange() {
  arrangementDue = false;
  const ordered = [...tiles.values()].sort((a, b) =>
    a.bed.info.bed.localeCompare(b.bed.info.bed, "en", { numeric: true }),
  );
  const room = innerHeight - wall.getBoundingClientRect().top - scrollY;
  const { columns, rowHeight } = grid(ordered.length, wall.clientWidth, room);
  wall.style.setProperty("--columns", String(columns));
  wall.style.setProperty("--row", `${rowHeight}px`);
  wall.append(...ordered.map((tile) => tile.element));
  for (const tile of ordered) tile.fit();

  const frame = wall.getBoundingClientRect();
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
  const mm = Math.max(MM_PX.least, Math.min(MM_PX.most, fitting));
  wall.style.setProperty("--mm", `${mm}px`);
  sweep.arrange(wall.clientWidth, wall.clientHeight, strips, mm);
  refresh();
}

/** Bring numbers, alarms and the state of the connection up to date. */
function refresh() {
  const now = seconds();
  const time = monitorTime();
  for (const tile of tiles.values()) {
    tile.showVitals(now);
    tile.showAudio(now);
    tile.showAlarms(alarms, time);
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
  showAudio();
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
  for (const tile of tiles.values()) {
    const { bed } = tile;
    bed.playout.advance(now / 1000, bed.ring.end);
    tile.blink(now);
  }
  sweep.draw();
  flash(now);
}

addEventListener("resize", () => {
  arrangementDue = true;
});
setInterval(refresh, 250);
requestAnimationFrame(frame);
