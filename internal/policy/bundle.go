package policy

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Limits of a stored version.
const (
	maxFiles     = 1024
	maxFileBytes = 256 << 10
	bundleFormat = "kith-policy/1"
	kernelFolder = "kernel/"
	localFolder  = "local/"
)

// Bundle is every file of a policy version, the kernel's modules and the name
// of the engine: what is stored, compared and approved, and what the digest
// covers. Comments, tests and stories count too.
type Bundle struct {
	Format string            `json:"format"`
	Engine string            `json:"engine"`
	Files  map[string][]byte `json:"files"` // path → content; the kernel's below kernel/
}

// Pack collects the files of a version from its folder, with the kernel and the
// engine of this binary. It refuses files that do not belong to a version.
func Pack(fsys fs.FS) (Bundle, error) {
	b := Bundle{Format: bundleFormat, Engine: Engine(), Files: map[string][]byte{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasPrefix(name, kernelFolder) {
			return fmt.Errorf("%s: a version brings no kernel of its own", name)
		}
		b.Files[name], err = fs.ReadFile(fsys, name)
		return err
	})
	if err != nil {
		return Bundle{}, fmt.Errorf("pack policy version: %w", err)
	}
	kernel, err := embeddedKernel()
	if err != nil {
		return Bundle{}, err
	}
	for file, text := range kernel {
		b.Files[kernelFolder+file] = []byte(text)
	}
	return b, b.check()
}

// LoadBundle reads what Encode wrote.
func LoadBundle(encoded []byte) (Bundle, error) {
	var b Bundle
	if len(encoded) > 2*maxDataBytes {
		return Bundle{}, fmt.Errorf("policy bundle of %d bytes, at most %d", len(encoded), 2*maxDataBytes)
	}
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return Bundle{}, fmt.Errorf("read policy bundle: %w", err)
	}
	return b, b.check()
}

// Encode gives the bundle's canonical archive: equal bundles, equal bytes.
func (b Bundle) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(b) // keys of a map are sorted
	if err != nil {
		return nil, fmt.Errorf("encode policy bundle: %w", err)
	}
	return encoded, nil
}

func (b Bundle) check() error {
	var problems []error
	if b.Format != bundleFormat {
		problems = append(problems, fmt.Errorf("policy bundle format %q, want %q", b.Format, bundleFormat))
	}
	if len(b.Files) > maxFiles {
		problems = append(problems, fmt.Errorf("policy bundle of %d files, at most %d", len(b.Files), maxFiles))
	}
	total := 0
	for name, content := range b.Files {
		total += len(content)
		if !fs.ValidPath(name) || name == "." {
			problems = append(problems, fmt.Errorf("policy bundle: %q is no path", name))
		}
		if len(content) > maxFileBytes {
			problems = append(problems, fmt.Errorf("%s: %d bytes, at most %d", name, len(content), maxFileBytes))
		}
	}
	if total > maxDataBytes {
		problems = append(problems, fmt.Errorf("policy bundle of %d bytes, at most %d", total, maxDataBytes))
	}
	return errors.Join(problems...)
}

// Digest covers format, engine and every file by path and content.
func (b Bundle) Digest() Digest {
	sum := newFraming(b.Format, b.Engine)
	for _, name := range sortedKeys(b.Files) {
		sum.add([]byte(name))
		sum.add(b.Files[name])
	}
	return sum.digest()
}

// FS gives the version's files as a file system, without the kernel.
func (b Bundle) FS() (fs.FS, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, name := range sortedKeys(b.Files) {
		if strings.HasPrefix(name, kernelFolder) {
			continue
		}
		file, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return nil, fmt.Errorf("lay out %s: %w", name, err)
		}
		if _, err := file.Write(b.Files[name]); err != nil {
			return nil, fmt.Errorf("lay out %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("lay out policy bundle: %w", err)
	}
	files, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		return nil, fmt.Errorf("lay out policy bundle: %w", err)
	}
	return files, nil
}

// modules gives the modules below a folder of the bundle, by their path in it.
func (b Bundle) modules(folder string) map[string]string {
	found := map[string]string{}
	for name, content := range b.Files {
		if rest, ok := strings.CutPrefix(name, folder); ok && path.Ext(rest) == ".rego" {
			found[rest] = string(content)
		}
	}
	return found
}

// Activate loads and compiles a stored version with the kernel that it brings.
// A version that was packed by another engine version is compiled by this one;
// its digest stays the one that was approved.
func Activate(b Bundle, opts Options) (*Active, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	files, err := b.FS()
	if err != nil {
		return nil, err
	}
	version, err := Load(files)
	if err != nil {
		return nil, err
	}
	version.Digest = b.Digest()
	opts.Kernel = b.modules(kernelFolder)
	return Compile(version, b.modules(localFolder), opts)
}

// contentDigest names a version that has no files: its content, the modules
// and the engine.
func contentDigest(v *Version, kernel, local map[string]string) (Digest, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return Digest{}, fmt.Errorf("encode policy version: %w", err)
	}
	sum := newFraming("kith-policy-content/1", Engine())
	sum.add(content)
	for _, modules := range []map[string]string{kernel, local} {
		sum.add([]byte(fmt.Sprint(len(modules))))
		for _, name := range sortedKeys(modules) {
			sum.add([]byte(name))
			sum.add([]byte(modules[name]))
		}
	}
	return sum.digest(), nil
}

// moduleDigest names the rules of a version, whatever its data.
func moduleDigest(kernel, local map[string]string) Digest {
	sum := newFraming("kith-policy-modules/1")
	for _, modules := range []map[string]string{kernel, local} {
		sum.add([]byte(fmt.Sprint(len(modules))))
		for _, name := range sortedKeys(modules) {
			sum.add([]byte(name))
			sum.add([]byte(modules[name]))
		}
	}
	return sum.digest()
}

// framing hashes a list of byte strings so that no two lists give the same
// bytes: each goes in behind its length.
type framing struct{ content []byte }

func newFraming(parts ...string) *framing {
	f := &framing{}
	for _, part := range parts {
		f.add([]byte(part))
	}
	return f
}

func (f *framing) add(part []byte) {
	f.content = binary.BigEndian.AppendUint64(f.content, uint64(len(part)))
	f.content = append(f.content, part...)
}

func (f *framing) digest() Digest { return sha256.Sum256(f.content) }
