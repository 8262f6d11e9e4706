package tree

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// edge is the right side of the tree: the last, partial tile of each level.
// All that is needed to go on.
type edge struct {
	size  int64
	tiles [][]byte // by level; a full tile is moved up at once, so each is partial
}

// tileRow is a tile to store.
type tileRow struct {
	level  int
	n      int64
	hashes []byte
}

// append adds leaves and gives the tiles that changed.
func (e *edge) append(leaves []proof.Digest) []tileRow {
	var full []tileRow
	changed := map[int]bool{}
	for _, leaf := range leaves {
		h := leaf
		for level := 0; ; level++ {
			if level == len(e.tiles) {
				e.tiles = append(e.tiles, nil)
			}
			e.tiles[level] = append(e.tiles[level], h[:]...)
			changed[level] = true
			if len(e.tiles[level]) < proof.TileWidth*tlog.HashSize {
				break
			}
			full = append(full, tileRow{level: level, n: e.size >> (proof.TileHeight * (level + 1)), hashes: e.tiles[level]})
			h = rootOf(e.tiles[level])
			e.tiles[level] = nil
			changed[level] = false
		}
		e.size++
	}
	for level, data := range e.tiles {
		if changed[level] && len(data) > 0 {
			full = append(full, tileRow{level: level, n: e.size >> (proof.TileHeight * (level + 1)), hashes: data})
		}
	}
	return full
}

// clone keeps the edge as it was, should the transaction fail.
func (e *edge) clone() edge {
	c := edge{size: e.size, tiles: make([][]byte, len(e.tiles))}
	for i, t := range e.tiles {
		c.tiles[i] = append([]byte(nil), t...)
	}
	return c
}

// root is the root of the whole tree: what is left over of a level is the last
// element of the level above.
func (e *edge) root() proof.Digest {
	var f proof.Frontier
	var rest *proof.Digest
	for _, data := range e.tiles {
		n := len(data) / tlog.HashSize
		if rest != nil {
			n++
		}
		if n == 0 {
			continue
		}
		list := make([]proof.Digest, 0, n)
		for i := 0; i < len(data); i += tlog.HashSize {
			list = append(list, proof.Digest(data[i:i+tlog.HashSize]))
		}
		if rest != nil {
			list = append(list, *rest)
		}
		root := fold(list)
		rest = &root
	}
	if rest == nil {
		return f.Root() // of nothing
	}
	return *rest
}

func rootOf(tile []byte) proof.Digest {
	list := make([]proof.Digest, 0, len(tile)/tlog.HashSize)
	for i := 0; i < len(tile); i += tlog.HashSize {
		list = append(list, proof.Digest(tile[i:i+tlog.HashSize]))
	}
	return fold(list)
}

// fold hashes nodes of one level, the last of which may be a smaller tree.
func fold(list []proof.Digest) proof.Digest {
	var f proof.Frontier
	for _, h := range list {
		f.Append(h)
	}
	return f.Root()
}

// errBroken: the stored tree contradicts itself. Somebody changed the tables.
var errBroken = errors.New("the stored tree does not give its own root")

// loadEdge reads the right side of the tree and checks it against the root.
func loadEdge(ctx context.Context, q querier, h head) (edge, error) {
	e := edge{size: h.Size}
	for level := 0; h.Size>>(proof.TileHeight*level) > 0; level++ {
		count := h.Size >> (proof.TileHeight * level)
		width := int(count % proof.TileWidth)
		if width == 0 {
			e.tiles = append(e.tiles, nil)
			continue
		}
		data, err := readTile(ctx, q, h.Number, level, count/proof.TileWidth, width)
		if err != nil {
			return edge{}, err
		}
		e.tiles = append(e.tiles, data)
	}
	if e.root() != h.Root {
		return edge{}, errBroken
	}
	return e, nil
}

// readTile gives the first width hashes of a tile.
func readTile(ctx context.Context, q querier, number, level int, n int64, width int) ([]byte, error) {
	var data []byte
	err := q.QueryRow(ctx, `SELECT hashes FROM kith.log_tile WHERE number = $1 AND level = $2 AND n = $3`, number, level, n).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("tile %d/%d: %w", level, n, ErrNoTile)
	}
	if err != nil {
		return nil, fmt.Errorf("read tile %d/%d: %w", level, n, postgres.Redact(err))
	}
	if len(data) < width*tlog.HashSize {
		return nil, fmt.Errorf("tile %d/%d: %w", level, n, ErrNoTile)
	}
	return data[:width*tlog.HashSize], nil
}

// tilesOf reads the tiles of one origin.
func tilesOf(ctx context.Context, q querier, number int) proof.Tiles {
	return func(level int, n int64, width int) ([]byte, error) { return readTile(ctx, q, number, level, n, width) }
}
