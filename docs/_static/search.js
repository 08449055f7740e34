// The index holds words without accents (conf.py): so are those that the reader looks for.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const perform = Search.performSearch;
  Search.performSearch = query => perform(query.normalize("NFD").replace(/\p{M}/gu, ""));
});
