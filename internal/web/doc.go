// Package web is the HTML face: pages for workers, drawn on the server from the
// same views that the JSON face gives, so that no page shows what the API would
// not. It hides sessions' cookies, the browser's defences, and how a view
// becomes a page. A page that reads a record goes through the one door and so
// writes a row of the log.
//
// One file per page; templates lie in templates/, English words in words/,
// style and script in assets/ (bundled by the program in build/; without the
// bundle the pages stay readable).
package web
