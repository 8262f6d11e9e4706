// Command build bundles the pages' style and script from the npm packages into
// assets/dist, under names that change with their bytes. Run it in
// internal/web after npm ci (make assets does both).
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	if err := build("."); err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func build(root string) error {
	dist := filepath.Join(root, "assets", "dist")
	result := api.Build(api.BuildOptions{
		AbsWorkingDir: abs(root),
		EntryPointsAdvanced: []api.EntryPoint{
			{InputPath: "assets/src/bundle.css", OutputPath: "kith"},
			{InputPath: "assets/src/kith.js", OutputPath: "kith"},
			{InputPath: "assets/src/editor.js", OutputPath: "editor"}, // for one page: it is large
		},
		Outdir:            abs(dist),
		EntryNames:        "[name]-[hash]",
		Bundle:            true,
		MinifyWhitespace:  true,
		MinifySyntax:      true,
		MinifyIdentifiers: true,
		Format:            api.FormatESModule,
		Target:            api.ES2020,
		LegalComments:     api.LegalCommentsNone,
		Plugins:           []api.Plugin{unlicensed()},
		Write:             false,
	})
	var errs []error
	for _, e := range result.Errors {
		errs = append(errs, errors.New(e.Text))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	names := map[string]string{}
	for _, f := range result.OutputFiles {
		if word := forbidden(f.Contents); word != "" {
			return fmt.Errorf("%s still has %q in it", filepath.Base(f.Path), word)
		}
		name := filepath.Base(f.Path)
		entry, _, _ := strings.Cut(name, "-")
		names[entry+filepath.Ext(name)] = name
		if err := os.WriteFile(filepath.Join(dist, name), f.Contents, 0o644); err != nil {
			return err
		}
	}
	list, err := json.MarshalIndent(names, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dist, "manifest.json"), append(list, '\n'), 0o644)
}

func abs(p string) string {
	a, err := filepath.Abs(p)
	if err != nil {
		return p
	}
	return a
}

var (
	fontFace = regexp.MustCompile(`@font-face\s*\{[^}]*\}`)
	comments = regexp.MustCompile(`(?s)/\*.*?\*/`)
	fontName = regexp.MustCompile(`(?i)"?GDS Transport"?\s*,\s*`)
	crest    = regexp.MustCompile(`[^{}]*crest[^{}]*\{[^{}]*\}`)
	images   = regexp.MustCompile(`url\(["']?[^)"']*["']?\)`)
)

// unlicensed takes out of the libraries' style what is not ours to use: the
// GOV.UK font, its name and its notice, and every image, among which are the
// crest and the crown. The look does not need them.
func unlicensed() api.Plugin {
	return api.Plugin{Name: "unlicensed", Setup: func(b api.PluginBuild) {
		b.OnLoad(api.OnLoadOptions{Filter: `node_modules/.*\.css$`}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			raw, err := os.ReadFile(a.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			text := comments.ReplaceAllString(string(raw), "")
			text = fontFace.ReplaceAllString(text, "")
			text = fontName.ReplaceAllString(text, "")
			text = crest.ReplaceAllString(text, "")
			text = images.ReplaceAllString(text, "none")
			return api.OnLoadResult{Contents: &text, Loader: api.LoaderCSS}, nil
		})
	}}
}

// forbidden names something of the above that slipped through.
func forbidden(b []byte) string {
	text := strings.ToLower(string(b))
	for _, word := range []string{"gds transport", "@font-face", "crest", "govuk-crown", "data:font"} {
		if strings.Contains(text, word) {
			return word
		}
	}
	return ""
}
