"use strict";
// Walks through the rows that differ, opening what hides them. Without script, everything is still readable.
(() => {
  const rows = [...document.querySelectorAll("tr.changed, tr.missing, tr.added")].filter((row) => !row.closest(".heads"));
  if (rows.length === 0) return;
  const at = document.getElementById("at");
  for (const hidden of document.querySelectorAll(".walk, .script")) hidden.hidden = false;
  let index = -1;

  const reveal = (element) => {
    for (let parent = element; parent !== null; parent = parent.parentElement) {
      if (parent.tagName === "DETAILS") parent.open = true;
    }
  };
  const show = (next) => {
    if (index >= 0) rows[index].classList.remove("at");
    index = (next + rows.length) % rows.length;
    reveal(rows[index]);
    rows[index].classList.add("at");
    rows[index].scrollIntoView({ block: "center" });
    at.textContent = `${index + 1} of ${rows.length}`;
  };
  const step = (by) => show(index < 0 && by < 0 ? rows.length - 1 : index + by);
  const stepPair = (by) => {
    const pair = index < 0 ? null : rows[index].closest(".pair");
    let next = index;
    do next = (next + by + rows.length) % rows.length;
    while (next !== index && pair !== null && rows[next].closest(".pair") === pair);
    // Backwards this is the last row of the pair before; its first one is where reading begins.
    const first = rows.findIndex((row) => row.closest(".pair") === rows[next].closest(".pair"));
    show(first);
  };
  const keys = { n: () => step(1), j: () => step(1), p: () => step(-1), k: () => step(-1), N: () => stepPair(1), P: () => stepPair(-1) };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("previous").addEventListener("click", () => step(-1));
  const follow = () => {
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (named === null) return;
    reveal(named);
    named.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();
})();
