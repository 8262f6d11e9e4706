// Package disclosure is the one door: it hides how a request for a family
// record becomes facts, a decision, a committed row of the access log and,
// only then, content. No other package reads content, and this one cannot
// without a receipt of the log (design.md §3).
package disclosure
