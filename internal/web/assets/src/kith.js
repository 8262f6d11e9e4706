// What script adds to pages that work without it: counting characters, focus on
// an error summary, and a warning before the session ends.
import "./grid.js";
import "./queue.js";
import { createAll, CharacterCount, ErrorSummary, SkipLink } from "govuk-frontend";

document.body.classList.add("js-enabled", "govuk-frontend-supported");
createAll(CharacterCount);
createAll(ErrorSummary);
createAll(SkipLink);

const form = document.querySelector("[data-session]");
if (form) {
  const status = form.querySelector("[data-session-status]");
  let ends = Date.now() + Number(form.dataset.session) * 1000;
  const said = new Set();
  const tell = (key) => {
    if (said.has(key)) return;
    said.add(key);
    status.textContent = form.dataset["warn" + key];
    status.classList.remove("govuk-visually-hidden");
    form.classList.add("k-session--soon");
  };
  const look = () => {
    const left = ends - Date.now();
    if (left <= 0) {
      location.replace("/sign-in?over&back=" + encodeURIComponent(location.pathname));
    } else if (left <= 60e3) tell("One");
    else if (left <= 120e3) tell("Two");
    else if (left <= 300e3) tell("Five");
  };
  setInterval(look, 5000);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(form.action, { method: "POST", headers: { Accept: "text/plain" }, credentials: "same-origin" });
    if (answer.status !== 204) {
      location.reload();
      return;
    }
    ends = Date.now() + Number(form.dataset.session) * 1000;
    said.clear();
    status.textContent = "";
    form.classList.remove("k-session--soon");
  });
}

// What is typed is kept on the server while the session lives: every 15 seconds
// where something changed, and before the screen is covered.
const typed = document.querySelector("form[data-draft]");
let changed = false;
let kept = false;
const keep = async () => {
  if (!typed || !changed) return;
  changed = false;
  kept = true;
  await fetch("/drafts", { method: "POST", body: new URLSearchParams(new FormData(typed)), credentials: "same-origin", keepalive: true });
};
if (typed) {
  typed.addEventListener("input", () => { changed = true; });
  setInterval(keep, 15000);
}
const cover = document.querySelector("form[data-cover]");
if (cover && typed) {
  cover.addEventListener("submit", async (event) => {
    event.preventDefault();
    await keep().catch(() => {});
    const draft = typed.querySelector("[name=draft]");
    const back = cover.querySelector("[name=back]");
    if (draft && kept) back.value = "/drafts/" + draft.value;
    cover.submit();
  });
}
// A second press of a button that saves is the same press.
for (const form of document.querySelectorAll("form[data-once]")) {
  let gone = false;
  form.addEventListener("submit", (event) => {
    if (gone) event.preventDefault();
    gone = true;
  });
}

// A page that comes back from the browser's memory may be somebody else's.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
