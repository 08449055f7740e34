// Cards of one kind: the reader chooses a chapter and a verdict. Without this script all are shown.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const all = [...document.querySelectorAll(".cards > .card[data-chapter]")];
  if (!all.length) return;
  const bar = document.createElement("p"), said = document.createElement("output"), chosen = {};
  const show = () => {
    for (const card of all) card.hidden = Object.entries(chosen).some(([key, value]) => value && card.dataset[key] !== value);
    said.textContent = `${all.filter(card => !card.hidden).length} of ${all.length}`;
  };
  bar.className = "choose";
  for (const key of Object.keys(all[0].dataset)) {
    const label = document.createElement("label"), select = document.createElement("select");
    label.append(`${key} `, select);
    for (const value of ["", ...new Set(all.map(card => card.dataset[key]))]) select.append(new Option(value || "all", value));
    select.addEventListener("change", () => { chosen[key] = select.value; show(); });
    bar.append(label);
  }
  bar.append(said);
  const title = document.querySelector("article h1");
  (title.parentElement.querySelector("h2, section")?.closest("section section") || all[0].parentElement).before(bar);
  show();
});
