package policy

import (
	"bytes"
	"fmt"
	"html/template"
)

// HTML is the paper as a page of its own, that needs nothing else.
func (p Paper) HTML() ([]byte, error) {
	var out bytes.Buffer
	if err := paperPage.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("write paper %s: %w", p.Code, err)
	}
	return out.Bytes(), nil
}

// paperPage is a paper to keep and to print: headings and tables, and style
// enough to read it where it is kept as a file.
var paperPage = template.Must(template.New("paper").Parse(`<!DOCTYPE html>
<html lang="en-GB">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title>
<style>body { font: 1rem/1.4 arial, "Liberation Sans", Helvetica, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem } table { border-collapse: collapse; width: 100% } th, td { border: 1px solid; padding: .25rem .5rem; text-align: left; vertical-align: top } tr { break-inside: avoid }</style></head>
<body>
<h1>{{.Title}}</h1>
<p>Policy version {{.Version}}, digest {{.Digest}}. Made {{.Made.Format "2 January 2006, 15:04"}} UTC.</p>
{{range .Lead}}<p>{{.}}</p>
{{end}}{{range .Parts}}<h2>{{.Heading}}</h2>
{{with .Lead}}<p>{{.}}</p>
{{end}}{{if .Rows}}<table>
<thead><tr>{{range .Columns}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
{{else}}<p>None.</p>
{{end}}{{end}}</body>
</html>
`))
