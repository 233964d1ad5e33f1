"use strict";
// n and p walk through the rows that differ, opening what hides them. Without script, everything is still readable.
(() => {
  const marked = "tr.changed, tr.missing, tr.added";
  let current = null;
  const go = (step) => {
    const rows = [...document.querySelectorAll(marked)];
    if (rows.length === 0) return;
    let index = rows.indexOf(current) + step;
    if (current === null && step < 0) index = rows.length - 1;
    index = (index + rows.length) % rows.length;
    if (current !== null) current.classList.remove("at");
    current = rows[index];
    for (let parent = current.parentElement; parent !== null; parent = parent.parentElement) {
      if (parent.tagName === "DETAILS") parent.open = true;
    }
    current.classList.add("at");
    current.scrollIntoView({ block: "center" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") go(1);
    if (event.key === "p") go(-1);
  });
})();
