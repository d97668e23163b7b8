package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// DefaultsFile is the name of the file of defaults in each of the folders that
// LoadDefaults looks into.
const DefaultsFile = "perfpipe.yaml"

// EnvPrefix stands before the names of the environment's variables: PERFPIPE_RING.
const EnvPrefix = "PERFPIPE"

// Defaults are what captures take where they say nothing themselves. They are
// scalars alone, from perfpipe.yaml and from the environment; what is recorded is
// never among them.
type Defaults struct {
	// Output is a path, "" is none: the command has its own.
	Output string
	// Compression and Level are those of outputs that name neither.
	Compression string
	Level       int
	// RingBytes is the size of each CPU's ring, 0 the engine's default.
	RingBytes int
	// OnFault and Types are as in [Capture].
	OnFault, Types string
}

// Apply fills in what c leaves open. Whatever c says stays.
func (d Defaults) Apply(c *Capture) {
	if len(c.Outputs) == 0 && d.Output != "" {
		c.Outputs = []Output{{Path: d.Output}}
	}
	for i := range c.Outputs {
		o := &c.Outputs[i]
		// Only Parquet is compressed unless asked, so only it takes the default.
		if o.Compression == "" && o.Level == 0 && parquetOutput(*o) {
			o.Compression, o.Level = d.Compression, d.Level
		}
	}
	if c.RingBytes == 0 {
		c.RingBytes = d.RingBytes
	}
	if c.OnFault == "" {
		c.OnFault = d.OnFault
	}
	if c.Types == "" {
		c.Types = d.Types
	}
}

// parquetOutput reports whether o is written as Parquet: a dataset that names no
// format, and what its format or ending says.
func parquetOutput(o Output) bool {
	if o.Format != "" {
		return o.Format == "parquet"
	}
	if o.Path == "-" {
		return false
	}
	ext := strings.TrimPrefix(filepath.Ext(o.Path), ".")
	for _, w := range formatWords {
		if ext == w {
			return w == "parquet"
		}
	}
	return true
}

// defaultsDecoder gathers the values of one source, and checks them.
type defaultsDecoder struct {
	d Defaults
	// values are the checked texts by key, for viper.
	values map[string]any
}

func (p *defaultsDecoder) keys(d *decoder) []key {
	scalar := func(name string, set func(*yaml.Node)) key {
		return key{name, func(n *yaml.Node) {
			before := len(d.faults)
			set(n)
			if len(d.faults) == before {
				p.values[name] = n.Value
			}
		}}
	}
	return []key{
		scalar("output", func(n *yaml.Node) { p.d.Output, _ = d.text(n, "output") }),
		scalar("compression", func(n *yaml.Node) { d.choice(n, "compression", &p.d.Compression, compressionWords[:]...) }),
		scalar("level", func(n *yaml.Node) {
			if v, ok := d.number(n, "level", 22); ok {
				p.d.Level = v
			}
		}),
		scalar("ring", func(n *yaml.Node) { measured(d, n, "ring", &p.d.RingBytes, ParseRing) }),
		scalar("on_fault", func(n *yaml.Node) { d.choice(n, "on_fault", &p.d.OnFault, onFaultWords[:]...) }),
		scalar("types", func(n *yaml.Node) { d.choice(n, "types", &p.d.Types, typesWords[:]...) }),
	}
}

// DefaultDirs returns the folders that are looked into, those whose word counts
// more behind the others: /etc/perfpipe, the user's $XDG_CONFIG_HOME/perfpipe (or
// ~/.config/perfpipe), and the working folder.
func DefaultDirs() []string {
	dirs := []string{"/etc/perfpipe"}
	if x := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(x) {
		dirs = append(dirs, filepath.Join(x, "perfpipe"))
	} else if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".config", "perfpipe"))
	}
	return append(dirs, ".")
}

// LoadDefaults reads perfpipe.yaml of each of dirs that has one, a later one over
// an earlier, and over them the environment: PERFPIPE_OUTPUT, PERFPIPE_COMPRESSION,
// PERFPIPE_LEVEL, PERFPIPE_RING, PERFPIPE_ON_FAULT and PERFPIPE_TYPES. An empty
// variable is as if it were not set.
//
// Files are decoded as strictly as job files; what is wrong in one is Faults. A
// file that someone else than root or the caller could have written is an error:
// whoever runs perfpipe as root in a folder of others would obey them.
func LoadDefaults(dirs []string) (Defaults, error) {
	v := viper.New()
	v.SetEnvPrefix(EnvPrefix)
	for _, dir := range dirs {
		values, err := readDefaults(filepath.Join(dir, DefaultsFile))
		if err != nil {
			return Defaults{}, err
		}
		if err := v.MergeConfigMap(values); err != nil {
			return Defaults{}, fmt.Errorf("merge defaults of %s: %w", dir, err)
		}
	}
	// The winners are decoded once more, now with those of the environment.
	d := &decoder{src: newSourceText(nil)}
	p := &defaultsDecoder{values: map[string]any{}}
	for _, k := range p.keys(d) {
		if err := v.BindEnv(k.name); err != nil {
			return Defaults{}, fmt.Errorf("bind environment to %s: %w", k.name, err)
		}
		value := v.GetString(k.name)
		if value == "" {
			continue
		}
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
		if k.set(n); len(d.faults) > 0 {
			return Defaults{}, fmt.Errorf("environment: %s_%s: %s", EnvPrefix, strings.ToUpper(k.name), d.faults[0].Text)
		}
	}
	if err := checkLevel(p.d); err != nil {
		return Defaults{}, err
	}
	return p.d, nil
}

func checkLevel(d Defaults) error {
	switch {
	case d.Level == 0:
	case d.Compression == "snappy" || d.Compression == "none":
		return fmt.Errorf("defaults: level %d: %s has no levels", d.Level, d.Compression)
	case d.Compression == "gzip" && d.Level > 9:
		return fmt.Errorf("defaults: level %d is not within gzip's 1 to 9", d.Level)
	}
	return nil
}

// readDefaults returns the values of one file, none where there is no such file.
func readDefaults(path string) (map[string]any, error) {
	// A folder that may not be entered (the home of who called sudo) has no say.
	// It answers before the open, so that a file that is there but closed is an error.
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read defaults: %w", err)
	}
	b, err := readTrusted(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read defaults %s: %w", path, err)
	}
	return decodeDefaults(path, b)
}

func readTrusted(f *os.File) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := trusted(fi); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

func decodeDefaults(path string, b []byte) (map[string]any, error) {
	d := &decoder{file: path, src: newSourceText(b)}
	p := &defaultsDecoder{values: map[string]any{}}
	if root := d.root(b, "a line such as 'ring: 16M' is one"); root != nil {
		d.mapping(root, "a file of defaults", p.keys(d), func(name string) bool {
			if name != "jobs" && !knownJobKey(name) {
				return false
			}
			for i := 0; i+1 < len(root.Content); i += 2 {
				if k := root.Content[i]; k.Value == name {
					d.fail(k, "%q belongs into a job file: %s holds defaults alone", name, DefaultsFile)
				}
			}
			return true
		})
	}
	if len(d.faults) > 0 {
		d.faults.sort()
		return nil, d.faults
	}
	return p.values, nil
}
