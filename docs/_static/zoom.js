// A picture that the reader clicks fills the window; Escape or a click closes it. Without this script its link leads to the file.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const links = document.querySelectorAll("figure.picture > a, .cards:not(.findings) .card a:has(> img)");
  if (!links.length) return;
  const dialog = document.createElement("dialog"), picture = new Image();
  const close = document.createElement("button"), place = document.createElement("a");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  dialog.className = "zoom";
  dialog.setAttribute("aria-label", "A figure, enlarged");
  close.textContent = "Close";
  place.textContent = "its place in its chapter";
  dialog.append(close, place);
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => { if (event.target !== place) dialog.close(); });

  function enlarge(event, link) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;  // a new tab or window, as for any link
    event.preventDefault();
    const [, chapter, name] = link.href.match(/([^/]+)\.html#figure-(.+)$/) || [];  // of a card
    const file = chapter ? `files/${chapter}/${name}` : "";
    picture.alt = link.querySelector("img").alt;
    picture.onerror = file && (() => { picture.onerror = null; picture.src = `${file}.${calm.matches ? "png" : "webp"}`; });  // a moving one
    const still = calm.matches && link.querySelector("source")?.srcset;
    picture.src = still || (file ? `${file}.svg` : link.href);
    dialog.append(picture);
    place.hidden = !chapter;
    place.href = link.href;
    dialog.showModal();
  }
  for (const link of links) link.addEventListener("click", (event) => enlarge(event, link));
});
