// Package migrations carries the schema inside the binary: numbered SQL
// files, forward only, applied in order by internal/postgres. It is a package
// of its own so that the files can lie at the top of the repository, where an
// agency's database administrator looks for them.
package migrations

import "embed"

// FS holds the files NNNN_name.sql.
//
//go:embed *.sql
var FS embed.FS
