"use strict";
// Walks through the rows that differ, opening what hides them. Without script, everything is still readable.
(() => {
  // Where the bodies show nothing, the status or a header differs, or a side gave no answer: that is said above them.
  const rows = [...document.querySelectorAll(".pair")].flatMap((pair) => {
    const marked = [...pair.querySelectorAll(".lines .changed, .lines .missing, .lines .added")];
    return marked.length > 0 ? marked : [...pair.querySelectorAll(".found > li")];
  });
  const routes = [...document.querySelectorAll("section[id]")];
  const at = document.getElementById("at");
  const help = document.querySelector(".keys");
  let index = -1;

  const reveal = (element) => {
    for (let parent = element; parent !== null; parent = parent.parentElement) {
      if (parent.tagName === "DETAILS") parent.open = true;
    }
  };
  const show = (next) => {
    if (rows.length === 0) return;
    if (index >= 0) rows[index].classList.remove("at");
    index = (next + rows.length) % rows.length;
    reveal(rows[index]);
    rows[index].classList.add("at");
    rows[index].scrollIntoView({ block: "center" });
    at.textContent = `${index + 1} of ${rows.length}`;
  };
  const step = (by) => show(index < 0 && by < 0 ? rows.length - 1 : index + by);
  const stepPair = (by) => {
    if (rows.length === 0) return;
    const pair = index < 0 ? null : rows[index].closest(".pair");
    let next = index;
    do next = (next + by + rows.length) % rows.length;
    while (next !== index && pair !== null && rows[next].closest(".pair") === pair);
    // Backwards this is the last row of the pair before; its first one is where reading begins.
    show(rows.findIndex((row) => row.closest(".pair") === rows[next].closest(".pair")));
  };
  const stepRoute = (by) => {
    if (routes.length === 0) return;
    const here = routes.findLastIndex((route) => route.getBoundingClientRect().top < 8);
    // Backwards from within a route, its own beginning comes first.
    const inside = here >= 0 && routes[here].getBoundingClientRect().top < -8;
    const next = Math.min(Math.max(by < 0 && inside ? here : here + by, 0), routes.length - 1);
    routes[next].scrollIntoView();
    routes[next].querySelector("h2").focus({ preventScroll: true });
  };
  const fold = () => {
    const pair = index >= 0 ? rows[index].closest(".pair") : document.querySelector(".pair");
    if (pair === null) return;
    pair.open = !pair.open;
    pair.scrollIntoView({ block: "nearest" });
  };
  const ask = () => {
    help.open = !help.open;
    if (help.open) help.scrollIntoView({ block: "nearest" });
  };
  const keys = {
    n: () => step(1), j: () => step(1), p: () => step(-1), k: () => step(-1),
    N: () => stepPair(1), P: () => stepPair(-1), r: () => stepRoute(1), R: () => stepRoute(-1), o: fold, "?": ask,
  };

  for (const hidden of document.querySelectorAll(".script")) hidden.hidden = false;
  if (rows.length > 0) document.querySelector(".walk").hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("previous").addEventListener("click", () => step(-1));
  // What is folded is not printed, so it is opened for that, and folded again.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.open:not([open]), details.branch:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
  const follow = () => {
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (named === null) return;
    reveal(named);
    named.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();
})();
