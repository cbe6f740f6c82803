/** Small charts of a bed view, as SVG: dots of RR intervals and lines of trends. */

const NS = "http://www.w3.org/2000/svg";
/** Coordinates of a chart; it is stretched to its place, strokes are not. */
const WIDTH = 600;
const HEIGHT = 100;

/** @typedef {{x: number, y: number|null, kind?: string}} Spot  x, y: 0 to 1; y null: unknown */

export class Chart {
  /** @param {HTMLElement} element  a figure with a caption */
  constructor(element) {
    this.element = element;
    this.svg = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.path = svg("path", { class: "line" });
    this.svg.append(...[25, 50, 75].map((y) => svg("path", { class: "rule", d: `M0 ${y}H${WIDTH}` })), this.path);
    /** Dots, by their class. @type {Map<string, SVGElement>} */
    this.dots = new Map();
    element.append(this.svg);
  }

  /**
   * A line through spots; broken where one is unknown.
   * @param {Spot[]} spots
   * @param {string} label  what it shows, in words
   */
  line(spots, label) {
    let pen = "M";
    let path = "";
    for (const { x, y } of spots) {
      if (y === null) {
        pen = "M";
        continue;
      }
      path += `${pen}${at(x, WIDTH)} ${at(1 - y, HEIGHT)}`;
      // A point that nothing follows is still a point.
      if (pen === "M") path += "h.01";
      pen = "L";
    }
    this.path.setAttribute("d", path);
    this.svg.setAttribute("aria-label", label);
  }

  /** A dot for each spot, one path for all of a kind. @param {Spot[]} spots */
  scatter(spots) {
    for (const dots of this.dots.values()) dots.setAttribute("d", "");
    for (const kind of new Set(spots.map((spot) => spot.kind ?? ""))) {
      let dots = this.dots.get(kind);
      if (!dots) {
        dots = svg("path", { class: "dots", "data-kind": kind });
        this.dots.set(kind, dots);
        this.svg.append(dots);
      }
      const own = spots.filter((spot) => (spot.kind ?? "") === kind && spot.y !== null);
      dots.setAttribute("d", own.map(({ x, y }) => `M${at(x, WIDTH)} ${at(1 - (y ?? 0), HEIGHT)}h.01`).join(""));
    }
  }
}

/** @param {number} share @param {number} size */
function at(share, size) {
  return (Math.max(0, Math.min(1, share)) * size).toFixed(1);
}

/** @param {string} name @param {Record<string, string>} attributes @returns {SVGElement} */
function svg(name, attributes) {
  const element = /** @type {SVGElement} */ (document.createElementNS(NS, name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
