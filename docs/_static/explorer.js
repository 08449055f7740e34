// Figures that their reader moves: stored results, drawn for what the reader chooses. poc_book.explore says what a page holds.
"use strict";
const MARGIN = { left: 66, right: 14, top: 12, bottom: 46 }, HEIGHT = 340;
const WIDTHS = Array.from({ length: 17 }, (_, i) => 2 ** (i + 4)); // of networks, in neurons
const SVG = ["svg", "g", "path", "line", "text", "circle"];

function element(tag, attributes = {}, ...inside) {
  const made = SVG.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

// A number as in a sentence: a whole one in full, of others three digits, and a power of ten where they are far from one.
function short(x) {
  if (Number.isInteger(x) && Math.abs(x) < 1e7) return String(x);
  if (Math.abs(x) >= 0.001 && Math.abs(x) < 1e5) return String(Number(x.toPrecision(3)));
  const [digits, power] = x.toExponential(2).split("e");
  const raised = [...power.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
  return `${Number(digits) === 1 ? "" : `${Number(digits)}·`}10${raised}`;
}

function multiples(step, low, high) {
  const found = [];
  for (let i = Math.ceil(low / step - 1e-6); i <= high / step + 1e-6; i++) found.push(i * step);
  return found;
}

// Round numbers between `low` and `high`, at most about so many: powers of ten on a logarithmic scale that has three of them.
function ticks(scale, low, high, most) {
  if (scale === "log") {
    const [first, last] = [Math.log10(low), Math.log10(high)];
    const powers = multiples(Math.max(1, Math.ceil((last - first) / most)), first, last).map((p) => 10 ** p);
    if (powers.length > 2) return powers;
  }
  const rough = (high - low) / most, unit = 10 ** Math.floor(Math.log10(rough));
  return multiples([1, 2, 5, 10].map((u) => u * unit).find((u) => u >= rough), low, high);
}

// An axis of so many pixels around the numbers it shows (and zero, if it is linear), or between its own `limits` where it has them.
function axis(scale, numbers, limits, length) {
  const seen = numbers.filter((v) => Number.isFinite(v) && (scale === "linear" || v > 0)), empty = seen.length === 0;
  const around = empty ? [1, 10] : [Math.min(...seen, ...(scale === "linear" ? [0] : [])), Math.max(...seen)];
  let [low, high] = around.map((end, i) => limits[i] ?? end);
  if (low === high) [low, high] = [low / 2, low * 2 || 1];
  const to = scale === "log" ? Math.log10 : Number;
  const place = (v) => (length * (to(v) - to(low))) / (to(high) - to(low));
  return { place, has: (v) => v !== null && (scale === "linear" || v > 0), ticks: ticks(scale, low, high, length / 55) };
}

// A line through the points that both axes have; it is broken where one is missing.
function path(xs, ys, x, y) {
  let pen = "M", d = "";
  xs.forEach((v, i) => {
    const there = x.has(v) && y.has(ys[i]);
    if (there) d += `${pen}${x.place(v).toFixed(1)},${y.place(ys[i]).toFixed(1)}`;
    pen = there ? "L" : "M";
  });
  return d;
}

function stroke(curve) {
  return { class: "curve", style: `--colour: ${curve.colour}`, "stroke-dasharray": curve.dash };
}

// Axes, curves and a mark at the place where they are read.
function drawing(about, one, at, size) {
  const wide = size - MARGIN.left - MARGIN.right, high = HEIGHT - MARGIN.top - MARGIN.bottom, curves = Object.entries(one.curves);
  const x = axis(about.scales[0], one.x, [], wide), up = axis(about.scales[1], curves.flatMap(([, v]) => v), about.limits, high);
  const y = { ...up, place: (v) => high - up.place(v) };
  const words = (text, left, top, anchor, more = {}) => element("text", { x: left, y: top, "text-anchor": anchor, ...more }, text);
  const all = element("g", { transform: `translate(${MARGIN.left} ${MARGIN.top})` });
  for (const v of y.ticks) {
    all.append(element("line", { class: "grid", x1: 0, x2: wide, y1: y.place(v), y2: y.place(v) }));
    all.append(words(short(v), -7, y.place(v) + 4, "end"));
  }
  for (const v of x.ticks) all.append(words(short(v), x.place(v), high + 18, "middle"));
  all.append(words(about.across, wide / 2, high + 38, "middle", { class: "name" }));
  all.append(words(about.up, -high / 2, -50, "middle", { class: "name", transform: "rotate(-90)" }));
  const inside = element("svg", { width: wide, height: high }); // what is beyond the axes is cut
  if (x.has(one.x[at])) inside.append(element("line", { class: "mark", x1: x.place(one.x[at]), x2: x.place(one.x[at]), y1: 0, y2: high }));
  for (const [name, values] of curves)
    inside.append(element("path", { "data-curve": name, d: path(one.x, values, x, y), ...stroke(about.curves[name]) }));
  all.append(inside);
  return all;
}

// A control with its words: a list of texts, a slider over numbers. `offer` tells it what there is to choose from.
function choice(name, words, text) {
  const input = text ? element("select", { name }) : element("input", { type: "range", name, min: 0, step: 1 });
  const shown = element("output"), whole = element("label", {}, `${words} `, input, ...(text ? [] : [" ", shown]));
  let offered = [];
  const index = () => Number(text ? input.selectedIndex : input.value);
  return {
    name, words, whole, input,
    index,
    value: () => offered[index()],
    offer(list, start) {
      const wanted = offered.length ? offered[index()] : start;
      const off = list.map((v) => (text ? Number(v !== wanted) : Math.abs(v - wanted))), nearest = Math.max(0, off.indexOf(Math.min(...off)));
      if (text && String(list) !== String(offered)) input.replaceChildren(...list.map((v) => element("option", {}, v)));
      if (!text) input.max = list.length - 1;
      offered = list;
      if (text) input.selectedIndex = nearest;
      else input.value = nearest;
      this.tell();
    },
    tell() {
      shown.textContent = text ? "" : short(offered[index()]);
      if (!text) input.setAttribute("aria-valuetext", shown.textContent);
    },
  };
}

// The picture of a place with its legend and its words; the answer shows curves, and what is to be said before their numbers.
function chart(about, place) {
  const picture = element("svg", { role: "img", height: HEIGHT }), legend = element("p", { class: "legend" });
  const at = choice("at", `read at ${about.across}`), words = element("p", { "aria-live": "polite" });
  let one = null, before = "";
  place.append(picture, legend, element("p", { class: "controls" }, at.whole), words);
  at.input.addEventListener("input", draw);
  new ResizeObserver(draw).observe(place);

  function draw() {
    const size = place.clientWidth, shown = one ? Object.keys(one.curves) : [];
    at.whole.hidden = !one;
    if (one) at.tell();
    picture.setAttribute("width", size);
    picture.replaceChildren(...(one && size ? [drawing(about, one, at.index(), size)] : []));
    legend.replaceChildren(...shown.map((name) => {
      const key = element("svg", { width: 30, height: 8, "aria-hidden": true });
      key.append(element("path", { d: "M0,4L30,4", ...stroke(about.curves[name]) }));
      return element("span", {}, key, ` ${about.curves[name].label}`);
    }));
    const numbers = shown.map((name) => [about.curves[name].label, one.curves[name][at.index()]]);
    const said = numbers.map(([label, v]) => `${label} ${v === null ? "is not shown" : `= ${short(v)}`}`).join("; ");
    const now = one ? `${before}At ${about.across} = ${short(one.x[at.index()])}: ${said}.` : before;
    if (words.textContent !== now) words.textContent = now; // what has not changed is not read out again
    picture.setAttribute("aria-label", words.textContent);
  }
  return (next, sentence = "") => {
    [one, before] = [next, sentence];
    if (one) at.offer(one.x, one.x.at(-1));
    draw();
  };
}

function explore(place) {
  const { about, cases } = JSON.parse(place.querySelector("script").textContent), controls = element("p", { class: "controls" });
  const choices = Object.entries(about.choose).map(([name, words]) => choice(name, words, typeof cases[0].choose[name] === "string"));
  const width = choice("width", "width m"), scaled = Object.values(about.curves).some((c) => c.per_width);
  width.offer(WIDTHS, about.width);
  for (const one of scaled ? [...choices, width] : choices) {
    controls.append(one.whole);
    one.input.addEventListener("input", draw);
  }
  place.append(controls);
  const show = chart(about, place);

  function draw() {
    let left = cases;
    for (const one of choices) {
      one.offer([...new Set(left.map((c) => c.choose[one.name]))], about.start[one.name]);
      left = left.filter((c) => c.choose[one.name] === one.value());
    }
    width.tell();
    const by = (name) => (about.curves[name].per_width ? width.value() : 1);
    const known = Object.entries(left[0].curves).filter(([, values]) => values.some((v) => v !== null));
    const curves = known.map(([name, values]) => [name, values.map((v) => (v === null ? v : v / by(name)))]);
    show({ x: left[0].x, curves: Object.fromEntries(curves) });
  }
  draw();
  place.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".explorer:not([data-edit])").forEach(explore));
