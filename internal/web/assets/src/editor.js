// The editor of rules and files. It takes the place of a text area, which goes on
// holding the text: the form is the same with and without it. It stands in a
// shadow root, so that its style comes by constructed sheets and needs no leave
// of the content security policy.
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, highlightActiveLine, drawSelection, highlightSpecialChars } from "@codemirror/view";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { StreamLanguage, HighlightStyle, syntaxHighlighting, bracketMatching, indentUnit } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const words = new Set(["package", "import", "default", "if", "contains", "some", "every", "in", "not", "with", "as", "else"]);
const fixed = new Set(["true", "false", "null"]);

const rego = StreamLanguage.define({
  startState: () => ({ raw: false }),
  token(stream, state) {
    if (state.raw) {
      if (stream.skipTo("`")) { stream.next(); state.raw = false; } else stream.skipToEnd();
      return "string";
    }
    if (stream.eatSpace()) return null;
    if (stream.peek() === "#") { stream.skipToEnd(); return "comment"; }
    if (stream.eat("`")) { state.raw = true; return "string"; }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (stream.match(/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return "number";
    if (stream.match(/^[A-Za-z_]\w*/)) {
      const word = stream.current();
      if (words.has(word)) return "keyword";
      if (fixed.has(word)) return "atom";
      if (word === "input" || word === "data") return "variableName.standard";
      return "variableName";
    }
    if (stream.match(/^(?::=|==|!=|<=|>=|[<>|&+\-*/%=])/)) return "operator";
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: "#" } },
});

const yaml = StreamLanguage.define({
  startState: () => ({}),
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.peek() === "#") { stream.skipToEnd(); return "comment"; }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?|^'(?:[^']|'')*'?/)) return stream.match(/^\s*:(?=\s|$)/, false) ? "propertyName" : "string";
    if (stream.match(/^[\w.-]+(?=\s*:(?:\s|$))/)) return "propertyName";
    if (stream.match(/^(?:true|false|null)\b/)) return "atom";
    if (stream.match(/^-?\d+(?:\.\d+)?(?=[\s,\]}]|$)/)) return "number";
    if (stream.match(/^[[\]{},:-]/)) return "operator";
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: "#" } },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "#5a1f7a", fontWeight: "bold" },
  { tag: tags.comment, color: "#44505a", fontStyle: "italic" },
  { tag: tags.string, color: "#005a30" },
  { tag: [tags.number, tags.atom], color: "#942514" },
  { tag: tags.propertyName, color: "#17434f", fontWeight: "bold" },
  { tag: tags.standard(tags.variableName), color: "#1a5ea3", fontWeight: "bold" },
]);

const look = EditorView.theme({
  "&": { fontSize: "14px", backgroundColor: "#fff", color: "#0b0c0c", height: "34rem" },
  ".cm-scroller": { fontFamily: '"DejaVu Sans Mono", "Liberation Mono", Consolas, monospace', lineHeight: "1.45", overflow: "auto" },
  ".cm-gutters": { backgroundColor: "#f3f2f1", color: "#44505a", borderRight: "1px solid #8a979b" },
  ".cm-activeLine": { backgroundColor: "#e6eff188" },
  ".cm-bad": { backgroundColor: "#f4cdc6" },
  "&.cm-focused": { outline: "none" },
});

const area = document.querySelector("textarea[data-editor]");
if (area) {
  const frame = document.createElement("div");
  frame.className = "k-codeframe";
  const root = frame.attachShadow({ mode: "open" });
  area.after(frame);
  let timer = 0;
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(), history(), drawSelection(), highlightSpecialChars(), highlightActiveLine(), bracketMatching(), indentUnit.of("  "),
        keymap.of([...defaultKeymap, ...historyKeymap]), // Tab leaves the editor, as everywhere on these pages
        area.dataset.editor === "rego" ? rego : yaml,
        syntaxHighlighting(colours), look,
        EditorView.contentAttributes.of({ "aria-label": document.getElementById("text-label").textContent, "aria-multiline": "true", tabindex: "0" }),
        EditorView.updateListener.of((u) => {
          if (!u.docChanged) return;
          area.value = u.state.doc.toString();
          clearTimeout(timer);
          timer = setTimeout(check, 700);
        }),
      ],
    }),
  });
  area.hidden = true;
  area.tabIndex = -1;
  document.querySelector("label[for=text]").addEventListener("click", (e) => { e.preventDefault(); view.focus(); });
  for (const link of document.querySelectorAll('.govuk-error-summary a[href="#text"]')) link.addEventListener("click", (e) => { e.preventDefault(); view.focus(); });
}

// check asks what is wrong with the text as it stands. It comes again with the
// next key, and on saving.
async function check() {
  const form = area.form;
  const said = document.querySelector("[data-check-said]");
  const list = document.querySelector("[data-check-list]");
  try {
    const res = await fetch(form.dataset.check, { method: "POST", credentials: "same-origin", body: new URLSearchParams({ file: form.elements.file.value, text: area.value }) });
    if (!res.ok) return;
    const answer = await res.json();
    said.textContent = answer.said;
    list.replaceChildren(...answer.messages.map((m) => {
      const li = document.createElement("li");
      li.textContent = m.text;
      return li;
    }));
  } catch {
    said.textContent = "";
  }
}
