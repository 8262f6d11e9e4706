package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/go-chi/chi/v5"
)

// The bundle in assets/dist is built and not committed; assets/src is always
// there, so that this compiles without it.
//
//go:embed all:assets
var assetFiles embed.FS

// assets are the files that pages load, by the name under which they are served.
type assets struct {
	bundled bool
	names   map[string]string // kith.css → kith-3F2A.css
	files   map[string][]byte
}

const manifest = "assets/dist/manifest.json"

func readAssets() (assets, error) {
	a := assets{names: map[string]string{}, files: map[string][]byte{}}
	raw, err := assetFiles.ReadFile(manifest)
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range []string{"kith.css", "kith.js"} {
			body, err := assetFiles.ReadFile("assets/src/" + name)
			if err != nil {
				return assets{}, fmt.Errorf("assets: %w", err)
			}
			if name == "kith.js" {
				continue // it needs what it imports; the pages do without
			}
			a.names[name], a.files[name] = name, body
		}
		return a, nil
	}
	if err != nil {
		return assets{}, fmt.Errorf("assets: %w", err)
	}
	if err := json.Unmarshal(raw, &a.names); err != nil {
		return assets{}, fmt.Errorf("assets: %w", err)
	}
	for _, served := range a.names {
		if a.files[served], err = assetFiles.ReadFile("assets/dist/" + served); err != nil {
			return assets{}, fmt.Errorf("assets: %w", err)
		}
	}
	a.bundled = true
	return a, nil
}

// url gives the address of a file, "" where it was not built.
func (a assets) url(name string) string {
	if served := a.names[name]; served != "" {
		return "/assets/" + served
	}
	return ""
}

// getAsset serves a file of the bundle. Its name changes with its bytes, so it
// may be kept; it is the only thing that may.
func (s *Server) getAsset(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "file")
	body, ok := s.assets.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)])
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if s.assets.bundled {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if strings.HasSuffix(name, ".svg") {
		h.Set("Content-Security-Policy", "default-src 'none'")
	}
	_, _ = w.Write(body)
}
