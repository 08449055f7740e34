// The interactive figure: exact results stored in the page, drawn for the degree, dimension and width that the reader chooses.
"use strict";
const CURVES = [
  { name: "risk", text: "risk of the limit", colour: "#0072B2", dash: "", scaled: false },
  { name: "law", text: "function error E‖f_m − f_MF‖²", colour: "#D55E00", dash: "", scaled: true },
  { name: "coupling", text: "coupling error E|Δ|²", colour: "#009E73", dash: "8 3 2 3", scaled: true },
  { name: "gronwall", text: "Gronwall’s bound of the coupling error", colour: "#666666", dash: "6 4", scaled: true },
];
const BOX = { left: 52, top: 10, width: 560, height: 300 }, LOW = -7, HIGH = 1;

function element(tag, attributes = {}, text = "") {
  const svg = ["svg", "path", "line", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const across = (t, end) => BOX.left + BOX.width * t / end;
const up = (value) => BOX.top + BOX.height * (HIGH - Math.log10(value)) / (HIGH - LOW);
const short = (x) => (x >= 0.001 && x < 1000 ? String(Number(x.toPrecision(3))) : x.toExponential(1).replace("e", "·10^"));

function axes(end) {
  const parts = [];
  for (let power = LOW; power <= HIGH; power++) {
    const y = up(10 ** power);
    parts.push(element("line", { x1: BOX.left, x2: BOX.left + BOX.width, y1: y, y2: y, stroke: "#e6e6e6" }));
    parts.push(element("text", { x: BOX.left - 6, y: y + 4, "text-anchor": "end", "font-size": 12, fill: "#333" }, `1e${power}`));
  }
  const step = [1, 2, 5].map((u) => u * 10 ** Math.floor(Math.log10(end / 4))).reverse().find((u) => end / u >= 4) || end / 4;
  for (let t = 0; t <= end * 1.001; t += step)
    parts.push(element("text", { x: across(t, end), y: BOX.top + BOX.height + 18, "text-anchor": "middle", "font-size": 12, fill: "#333" },
      String(Number(t.toPrecision(3)))));
  const middle = BOX.left + BOX.width / 2;
  parts.push(element("text", { x: middle, y: BOX.top + BOX.height + 38, "text-anchor": "middle", "font-size": 13, fill: "#333" }, "flow time"));
  const centre = BOX.top + BOX.height / 2;
  parts.push(element("text", { x: 12, y: centre, transform: `rotate(-90 12 ${centre})`, "text-anchor": "middle", "font-size": 13,
    fill: "#333" }, "risk, mean square error"));
  return parts;
}

function line(times, values, curve) {
  const inside = values.map((v) => Math.min(Math.max(v, 10 ** LOW), 10 ** HIGH)), end = times[times.length - 1];
  const last = values.findIndex((v) => v > 10 ** HIGH), stop = last < 0 ? times.length : last + 1; // a curve ends where it leaves the top
  const points = times.slice(0, stop).map((t, i) => `${across(t, end).toFixed(1)},${up(inside[i]).toFixed(1)}`);
  return element("path", { d: `M${points.join("L")}`, fill: "none", stroke: curve.colour, "stroke-width": 2, "stroke-dasharray": curve.dash,
    "data-curve": curve.name });
}

function slider(name, text, max, value) {
  const input = element("input", { type: "range", name, min: 0, max, step: 1, value }), shown = element("output");
  const whole = element("label", {}, `${text} `);
  whole.append(input, " ", shown);
  return { whole, input, shown };
}

function explore(place) {
  const cases = JSON.parse(place.querySelector("script").textContent);
  const degrees = [...new Set(cases.map((c) => c.degree))], dims = () => cases.filter((c) => c.degree === Number(degree.value));
  const degree = element("select", { name: "degree" }), degreeLabel = element("label", {}, "degree k "), controls = element("p");
  for (const k of degrees) degree.append(element("option", { value: k }, k));
  degree.value = degrees.includes(4) ? 4 : degrees[0];
  degreeLabel.append(degree);
  const dim = slider("dim", "dimension d", dims().length - 1, dims().length - 1), width = slider("width", "width m", 16, 6);
  controls.append(degreeLabel, dim.whole, width.whole);
  const picture = element("svg", { viewBox: "0 0 630 355", role: "img" }), words = element("p", { "aria-live": "polite" });
  const legend = element("p", { class: "legend" });
  for (const curve of CURVES) {
    const item = element("span"), key = element("svg", { viewBox: "0 0 30 8", width: 30, height: 8 });
    key.append(element("line", { x1: 0, x2: 30, y1: 4, y2: 4, stroke: curve.colour, "stroke-width": 2, "stroke-dasharray": curve.dash }));
    item.append(key, ` ${curve.text}`);
    legend.append(item);
  }

  function draw() {
    dim.input.max = dims().length - 1;
    const one = dims()[dim.input.value], m = 2 ** (Number(width.input.value) + 4), end = one.time[one.time.length - 1];
    dim.shown.textContent = one.dim;
    width.shown.textContent = m;
    const value = (curve, i) => one[curve.name][i] / (curve.scaled ? m : 1), last = one.time.length - 1;
    picture.replaceChildren(...axes(end), ...CURVES.map((c) => line(one.time, one.time.map((_, i) => value(c, i)), c)));
    const [risk, error, coupling, bound] = CURVES.map((c) => value(c, last)), lost = one.gronwall.findIndex((b) => b / m > 1);
    const chaos = lost < 0 ? "Gronwall’s bound stays below 1 up to then."
      : `Gronwall’s bound of it passes 1 already at t = ${short(one.time[lost])}.`;
    words.textContent = `At t = ${short(end)} the risk is ${short(risk)}; a network of ${m} neurons differs from its limit by ` +
      `${short(error)} in mean square, a fraction ${short(error / risk)} of the risk, and its neurons by ${short(coupling)} ` +
      `(leading order in 1/m, which holds while that is small). ${chaos}`;
    picture.setAttribute("aria-label", `Curves for degree ${one.degree}, dimension ${one.dim}, width ${m}. ${words.textContent}`);
  }
  for (const input of [degree, dim.input, width.input]) input.addEventListener("input", draw);
  place.append(controls, picture, legend, words);
  draw();
  place.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".explorer").forEach(explore));
