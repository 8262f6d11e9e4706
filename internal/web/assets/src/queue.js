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

// An export says how far it is, and at the end what came and how to check it.
// Without this script the browser's own download list does.
const form = document.querySelector("form[data-export]");
const progress = document.querySelector("[data-export-progress]");
if (form && progress && window.ReadableStream) {
  const at = (name) => form.querySelector("[data-export-" + name + "]");
  const megabytes = (n) => (n / 1e6).toLocaleString("en-GB", { maximumFractionDigits: 1 }) + " MB";
  const show = (got, lines, all) => {
    const bar = progress.querySelector("progress");
    let text = megabytes(got);
    if (all > 0) {
      const share = Math.min(99, Math.floor((100 * lines) / all)); // the end of the file says that it is whole
      bar.max = 100;
      bar.value = share;
      text = share + "%, " + text;
    }
    at("size").textContent = text;
  };
  const told = async (name, blob) => {
    at("name").textContent = name;
    at("bytes").textContent = megabytes(blob.size);
    const digest = window.crypto?.subtle ? await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()) : null;
    at("digest").textContent = digest ? [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("") : "";
    at("digest").parentElement.hidden = !digest;
    at("proven").hidden = name.endsWith(".csv") || name.includes(".fhir.");
    at("command").textContent = "kith-verify export --key keys.txt " + name;
    at("done").hidden = false;
  };
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const button = form.querySelector("button[type=submit]");
    const said = at("said");
    button.disabled = true;
    progress.hidden = false;
    at("done").hidden = true;
    said.textContent = said.dataset.running;
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
      const all = Number(answer.headers.get("Kith-Events") || 0);
      const parts = [];
      let got = 0;
      let lines = 0;
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        got += value.length;
        for (const byte of value) if (byte === 10) lines++;
        show(got, lines, all);
      }
      const file = new Blob(parts);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = named[1];
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
      await told(named[1], file);
      said.textContent = said.dataset.done;
    } catch {
      said.textContent = "";
      form.submit();
    } finally {
      plain();
    }
  });
}
