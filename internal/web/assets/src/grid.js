// The matrix with a keyboard: one tab stop, arrows between cells, a letter for a
// level. Without this script each cell is a link to its form.
const table = document.querySelector("[data-grid]");
if (table) grid(table);

function grid(table) {
  const levels = { f: "full", s: "summary", e: "existence", h: "hidden" };
  const said = document.querySelector("[data-grid-said]");
  const wide = matchMedia("(min-width: 48.01rem)");
  const rows = () => [...table.querySelectorAll("tr")].map((tr) => [...tr.querySelectorAll("td a")].filter((a) => a.offsetParent !== null)).filter((r) => r.length);
  table.setAttribute("role", "grid");
  for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
  for (const tr of table.querySelectorAll("tr")) tr.setAttribute("role", "row");
  for (const th of table.querySelectorAll("th")) th.setAttribute("role", th.scope === "col" ? "columnheader" : "rowheader");
  for (const td of table.querySelectorAll("td")) td.setAttribute("role", "gridcell");
  const keys = document.querySelector("[data-grid-keys]");
  if (keys && table.dataset.edit !== undefined && wide.matches) keys.hidden = false;

  const links = () => [...table.querySelectorAll("td a")];
  const settle = (link) => {
    for (const a of links()) a.tabIndex = -1;
    if (link) link.tabIndex = 0;
  };
  settle(table.querySelector("td a[aria-current]") || rows()[0]?.[0]);
  table.addEventListener("focusin", (e) => {
    if (e.target.matches("td a")) settle(e.target);
  });

  const place = (link) => {
    const all = rows();
    const y = all.findIndex((r) => r.includes(link));
    return { all, y, x: y < 0 ? -1 : all[y].indexOf(link) };
  };
  const groupStart = (all, y, down) => {
    const body = all[y][0].closest("tbody");
    const bodies = [...new Set(all.map((r) => r[0].closest("tbody")))];
    const next = bodies[bodies.indexOf(body) + (down ? 1 : -1)];
    return next ? all.findIndex((r) => r[0].closest("tbody") === next) : down ? all.length - 1 : 0;
  };

  table.addEventListener("keydown", (e) => {
    const link = e.target.closest("td a");
    if (!link || e.altKey || e.metaKey) return;
    const { all, y, x } = place(link);
    if (y < 0) return;
    const last = all[y].length - 1;
    let to = null;
    switch (e.key) {
      case "ArrowRight": to = all[y][Math.min(x + 1, last)]; break;
      case "ArrowLeft": to = all[y][Math.max(x - 1, 0)]; break;
      case "ArrowDown": to = all[Math.min(y + 1, all.length - 1)][x]; break;
      case "ArrowUp": to = all[Math.max(y - 1, 0)][x]; break;
      case "Home": to = e.ctrlKey ? all[0][0] : all[y][0]; break;
      case "End": to = e.ctrlKey ? all.at(-1).at(-1) : all[y][last]; break;
      case "PageDown": to = all[groupStart(all, y, true)][x]; break;
      case "PageUp": to = all[groupStart(all, y, false)][x]; break;
      default:
        if (table.dataset.edit === undefined || e.ctrlKey) return;
        if (e.key.toLowerCase() === "u") save(link, { do: "restore" });
        else if (levels[e.key.toLowerCase()]) save(link, { level: levels[e.key.toLowerCase()] });
        else return;
        e.preventDefault();
        return;
    }
    e.preventDefault();
    to?.focus();
  });

  let busy = false;
  async function save(link, change) {
    if (busy) return;
    busy = true;
    const address = new URL(link.href);
    const form = new URLSearchParams({ quick: "1", was: link.dataset.level, purpose: address.searchParams.get("purpose") ?? "", show: address.searchParams.get("show") ?? "", find: address.searchParams.get("find") ?? "", ...change });
    try {
      const res = await fetch(address.pathname, { method: "POST", body: form, credentials: "same-origin" });
      const answer = await res.json();
      tell(answer.said);
      if (!res.ok) return;
      const td = link.closest("td");
      const id = td.id;
      const box = document.createElement("template");
      box.innerHTML = answer.cell;
      const fresh = box.content.firstElementChild;
      fresh.setAttribute("role", "gridcell");
      if (td.classList.contains("k-off")) fresh.classList.add("k-off");
      else fresh.classList.remove("k-off");
      td.replaceWith(fresh);
      const now = document.getElementById(id).querySelector("a");
      settle(now);
      now.focus();
      for (const part of ["bar", "list"]) {
        box.innerHTML = answer[part];
        document.querySelector(`[data-draft${part}]`)?.replaceWith(box.content.firstElementChild);
      }
    } catch {
      tell(table.dataset.failed);
    } finally {
      busy = false;
    }
  }
  function tell(text) {
    if (!said) return;
    said.classList.remove("govuk-visually-hidden");
    said.textContent = text ?? table.dataset.failed;
  }
}

// The panel of a cell, whose heading the address leads to: Escape goes back to
// the cell.
const panel = document.querySelector(".k-panel");
if (panel) {
  const back = (e) => {
    const link = document.getElementById(panel.querySelector("[data-back]").dataset.back)?.querySelector("a");
    if (!link || link.offsetParent === null) return;
    e.preventDefault();
    link.focus();
  };
  panel.addEventListener("keydown", (e) => {
    if (e.key === "Escape") back(e);
  });
  panel.querySelector("[data-back]").addEventListener("click", back);
}
