// Package family hides the family record: source records and the people they
// are linked to, families, entries and their sealed content, episodes,
// involvements, told-and-agreed, restrictions and grants. Facts are read
// without a log row and feed a decision; content leaves the database only
// through a part that a committed access event releases.
package family
