// What a link leads to, shown beside it while one points at it or has it in focus: an equation, a statement, a figure,
// a work, the entry of a name, the question of a chapter. Escape closes it; fingers follow the link as ever.
// Another page is fetched from the same site when it is asked for. Opened as a file a page shows what is on itself.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  if (!matchMedia("(hover: hover)").matches) return;
  const tip = document.createElement("div"), pages = new Map();
  let over, timer, typeset = Promise.resolve();
  tip.id = "preview";
  tip.role = "tooltip";
  tip.hidden = true;
  document.body.append(tip);

  const page = async url => {
    const address = url.origin + url.pathname;
    if (address === location.origin + location.pathname) return document;
    if (location.protocol === "file:") return document.createDocumentFragment();
    if (!pages.has(address)) pages.set(address, fetch(address).then(answer => answer.ok ? answer.text() : Promise.reject(answer.status)));
    const text = await pages.get(address).catch(failed => { pages.delete(address); throw failed; });
    return new DOMParser().parseFromString(text, "text/html");
  };

  // the parts of a page that say what an address is
  const parts = (whole, id) => {
    const article = whole.querySelector("article"), target = id ? whole.getElementById(id) : article;
    const first = place => place.querySelector(":scope > p:not(.meta)");
    if (!target) return [];
    if (!id) return [article.querySelector("h1"), [...article.querySelectorAll("p")].find(p => p.innerText.startsWith("Question."))
      || article.querySelector("section > :is(blockquote, p:not(.meta))")];
    if (target.matches("section")) return [target.querySelector("h1, h2, h3, h4"), first(target)];
    if (target.matches("dt")) return [target, first(target.nextElementSibling)];
    return [target.matches("div:empty") ? target.nextElementSibling : target];
  };

  const clean = (part, url) => {
    const copy = part.cloneNode(true);
    for (const one of [copy, ...copy.querySelectorAll("*")]) {
      one.removeAttribute("id");
      for (const name of ["src", "href"])
        if (one.hasAttribute(name)) one.setAttribute(name, new URL(one.getAttribute(name), url));
    }
    copy.querySelectorAll(".headerlink, .downloads, script, button").forEach(one => one.remove());
    return copy;
  };

  const place = link => {
    const gap = 6, [box] = link.getClientRects();
    if (!box) return hide();  // its fold was closed
    const { left, top, bottom } = box;
    tip.style.left = `${Math.max(gap, Math.min(left, innerWidth - tip.offsetWidth - gap))}px`;
    const below = bottom + gap + tip.offsetHeight < innerHeight || top < tip.offsetHeight + gap;
    tip.style.top = `${below ? bottom + gap : top - gap - tip.offsetHeight}px`;
  };

  const hide = () => {
    clearTimeout(timer);
    over?.removeAttribute("aria-describedby");
    over = undefined;
    tip.hidden = true;
  };
  const show = async link => {
    const url = new URL(link.href);
    const found = parts(await page(url).catch(() => document.createDocumentFragment()), decodeURIComponent(url.hash.slice(1)));
    if (over !== link || !found.some(Boolean)) return;
    tip.replaceChildren(...found.filter(Boolean).map(part => clean(part, url)));
    if (!window.MathJax && tip.querySelector(".math")) return;
    tip.hidden = false;
    link.setAttribute("aria-describedby", tip.id);
    typeset = typeset.then(() => { window.MathJax?.typesetClear?.([tip]); return window.MathJax?.typesetPromise?.([tip]); });
    await typeset;
    if (over !== link) return;
    const fit = Math.max(0.6, tip.clientWidth / tip.scrollWidth);  // formulas are smaller where they would be too wide
    if (fit < 1) for (const formula of tip.querySelectorAll("mjx-container[display]"))
      formula.style.fontSize = `${fit * parseFloat(getComputedStyle(formula).fontSize)}px`;
    place(link);
  };
  const ask = (link, after) => {
    clearTimeout(timer);
    if (link === over && !tip.hidden) return;
    hide();
    over = link;
    timer = setTimeout(show, after, link);
  };

  const leads = `article a[href*=".html"]:not(:has(img)):not([download]), article a[href^="#"]:not(.headerlink)`;
  const near = event => {
    const link = event.target.closest?.(leads);
    return link?.host === location.host ? link : null;  // nothing is asked of another site
  };
  const away = () => { clearTimeout(timer); timer = setTimeout(hide, 200); };  // time to reach what is shown
  document.addEventListener("pointerover", event => {
    if (tip.contains(event.target)) clearTimeout(timer);
    else if (near(event)) ask(near(event), 150);
    else if (over && !over.matches(":focus-visible")) away();
  });
  document.addEventListener("focusin", event => near(event)?.matches(":focus-visible") ? ask(near(event), 0) : hide());
  document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
  tip.addEventListener("load", () => { if (over) place(over); }, true);  // of a picture
  document.addEventListener("scroll", () => { if (!tip.hidden) place(over); }, { passive: true });
});
