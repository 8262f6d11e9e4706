package policy

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// editRows adds a row to a file of the matrix or takes one away. The file is
// changed as a document and not as data, so that its comments stay.
func editRows(file []byte, edit RowEdit) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(file, &root); err != nil || len(root.Content) != 1 {
		return nil, &DraftError{Text: "matrix/" + edit.Section + ".yaml is not well-formed: mend it as a file first"}
	}
	rows := child(root.Content[0], "rows")
	if rows == nil || rows.Kind != yaml.SequenceNode {
		return nil, &DraftError{Text: "matrix/" + edit.Section + ".yaml has no list of rows"}
	}
	if edit.Remove > 0 {
		if edit.Remove > len(rows.Content) {
			return nil, &DraftError{Text: fmt.Sprintf("matrix/%s.yaml has %d rows", edit.Section, len(rows.Content))}
		}
		rows.Content = append(rows.Content[:edit.Remove-1:edit.Remove-1], rows.Content[edit.Remove:]...)
	} else {
		rows.Style = 0 // `rows: []` becomes a list of lines
		rows.Content = append(rows.Content, rowNode(edit.Row))
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		return nil, fmt.Errorf("write matrix/%s.yaml: %w", edit.Section, err)
	}
	return out.Bytes(), nil
}

// rowNode writes a row on one line, as the shipped files do, without what is empty.
func rowNode(r Row) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	text := func(key, value string) {
		if value != "" {
			n.Content = append(n.Content, scalar(key), scalar(value))
		}
	}
	several := func(key string, values []string) {
		if len(values) == 0 {
			return
		}
		seq := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, v := range values {
			seq.Content = append(seq.Content, scalar(v))
		}
		n.Content = append(n.Content, scalar(key), seq)
	}
	text("to", r.To)
	several("roles", r.Roles)
	several("purposes", r.Purposes)
	text("level", r.Level)
	several("masks", r.Masks)
	several("conditions", r.Conditions)
	text("clause", r.Clause)
	text("from", r.From)
	text("until", r.Until)
	text("why", r.Why)
	return n
}

func scalar(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}
