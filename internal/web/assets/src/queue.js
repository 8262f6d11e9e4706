// The review queue with a keyboard: J and K move between findings, Enter opens,
// while the focus is in the list and nowhere else. Without this script each
// finding has its link.
const queue = document.querySelector("[data-queue]");
if (queue) {
  const links = [...queue.querySelectorAll("tbody a.k-queue__open")];
  const keys = document.querySelector("[data-queue-keys]");
  if (keys) keys.hidden = false;
  const mark = (link) => {
    for (const a of links) a.closest("tr").classList.toggle("k-queue--here", a === link);
  };
  queue.addEventListener("focusin", (e) => mark(links.find((a) => a.closest("tr").contains(e.target))));
  queue.addEventListener("focusout", () => mark(null));
  queue.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const step = { j: 1, k: -1 }[e.key.toLowerCase()];
    if (!step) return;
    const at = links.findIndex((a) => a.closest("tr").contains(document.activeElement));
    const next = links[Math.min(links.length - 1, Math.max(0, at + step))];
    if (next) {
      e.preventDefault();
      next.focus();
    }
  });
}

// An export says how far it is. Without this script the browser's own download
// list does.
const form = document.querySelector("form[data-export]");
const progress = document.querySelector("[data-export-progress]");
if (form && progress && window.ReadableStream) {
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    progress.hidden = false;
    const plain = () => {
      button.disabled = false;
      progress.hidden = true;
    };
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" });
      const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "");
      if (!answer.ok || !named) {
        plain();
        form.submit(); // the page that says what is wrong
        return;
      }
      const size = progress.querySelector("[data-export-size]");
      const parts = [];
      let got = 0;
      let said = 0;
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        got += value.length;
        if (Date.now() - said > 2000) {
          said = Date.now();
          size.textContent = (got / 1e6).toLocaleString("en-GB", { maximumFractionDigits: 1 }) + " MB";
        }
      }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(parts));
      link.download = named[1];
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
      size.textContent = "";
      form.dataset.exportDone = named[1];
    } catch {
      form.submit();
    } finally {
      plain();
    }
  });
}
