// Cards of one kind: the reader chooses a chapter and a verdict. Without this script all are shown.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const cards of document.querySelectorAll(".cards")) {
    const all = [...cards.querySelectorAll(":scope > .card")], bar = document.createElement("p");
    const said = document.createElement("output"), chosen = {};
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
    cards.before(bar);
    show();
  }
});
