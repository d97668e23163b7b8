package configs

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// The shape of a job file, for writing one.
type (
	fileYAML struct {
		Jobs []jobYAML `yaml:"jobs"`
	}
	jobYAML struct {
		Name         string       `yaml:"name,omitempty"`
		Events       []eventYAML  `yaml:"events,omitempty"`
		Program      []string     `yaml:"program,omitempty"`
		Exclude      []string     `yaml:"exclude,omitempty"`
		Target       targetYAML   `yaml:"target,omitempty"`
		Outputs      []outputYAML `yaml:"outputs,omitempty"`
		Rotate       rotateYAML   `yaml:"rotate,omitempty"`
		MaxSize      string       `yaml:"max_size,omitempty"`
		MaxRate      string       `yaml:"max_rate,omitempty"`
		MaxCPU       string       `yaml:"max_cpu,omitempty"`
		Over         string       `yaml:"over,omitempty"`
		Duration     string       `yaml:"duration,omitempty"`
		Delay        string       `yaml:"delay,omitempty"`
		Ring         string       `yaml:"ring,omitempty"`
		Period       int          `yaml:"period,omitempty"`
		OnFault      string       `yaml:"on_fault,omitempty"`
		Tier         string       `yaml:"tier,omitempty"`
		FilterBudget int          `yaml:"filter_budget,omitempty"`
		KernelCompat bool         `yaml:"kernel_compat,omitempty"`
		TraceSelf    bool         `yaml:"trace_self,omitempty"`
		FailOnLoss   bool         `yaml:"fail_on_loss,omitempty"`
		Threads      int          `yaml:"threads,omitempty"`
		Decode       bool         `yaml:"decode,omitempty"`
		Engine       string       `yaml:"engine,omitempty"`
		Overwrite    bool         `yaml:"overwrite,omitempty"`
		Trigger      string       `yaml:"trigger,omitempty"`
		Before       string       `yaml:"before,omitempty"`
		After        string       `yaml:"after,omitempty"`
		RetMode      string       `yaml:"ret_mode,omitempty"`
		Unsafe       bool         `yaml:"unsafe_uretprobe,omitempty"`
		Stacks       *stacksYAML  `yaml:"stacks,omitempty"`
		CgroupIDs    bool         `yaml:"cgroup_ids,omitempty"`
		Types        string       `yaml:"types,omitempty"`
	}
	eventYAML struct {
		Event  []string `yaml:"event,flow"`
		Binary string   `yaml:"binary,omitempty"`
		Filter string   `yaml:"filter,omitempty"`
	}
	stacksYAML struct {
		Mode   string `yaml:"mode"`
		Kernel bool   `yaml:"kernel"`
		User   bool   `yaml:"user"`
		Inline bool   `yaml:"inline,omitempty"`
		Size   string `yaml:"size,omitempty"`
	}
	targetYAML struct {
		All     bool     `yaml:"all,omitempty"`
		PIDs    []int    `yaml:"pids,flow,omitempty"`
		TIDs    []int    `yaml:"tids,flow,omitempty"`
		User    string   `yaml:"user,omitempty"`
		Comm    string   `yaml:"comm,omitempty"`
		Cgroup  string   `yaml:"cgroup,omitempty"`
		Tree    bool     `yaml:"tree,omitempty"`
		CPUs    string   `yaml:"cpus,omitempty"`
		Command []string `yaml:"command,flow,omitempty"`
		Inherit *bool    `yaml:"inherit,omitempty"`
	}
	outputYAML struct {
		Path        string `yaml:"path"`
		Format      string `yaml:"format,omitempty"`
		Compression string `yaml:"compression,omitempty"`
		Level       int    `yaml:"level,omitempty"`
	}
	rotateYAML struct {
		Size     string `yaml:"size,omitempty"`
		Every    string `yaml:"every,omitempty"`
		OnSignal bool   `yaml:"on_signal,omitempty"`
		MaxFiles int    `yaml:"max_files,omitempty"`
	}
)

// Marshal writes captures as a job file: for those that [Load] returned, Load of
// the result gives the same again.
func Marshal(jobs []Capture) ([]byte, error) {
	f := fileYAML{Jobs: make([]jobYAML, len(jobs))}
	for i := range jobs {
		f.Jobs[i] = jobOf(&jobs[i])
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("write job file: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write job file: %w", err)
	}
	return b.Bytes(), nil
}

func jobOf(c *Capture) jobYAML {
	j := jobYAML{
		Name: c.Name, Exclude: c.Exclude, Program: c.Programs, FilterBudget: c.FilterBudget,
		Target: targetYAML{All: c.Target.All, PIDs: c.Target.PIDs, TIDs: c.Target.TIDs, User: c.Target.User, Comm: c.Target.Comm, Cgroup: c.Target.Cgroup, Tree: c.Target.Tree, CPUs: c.Target.CPUs, Command: c.Target.Command},
		Rotate: rotateYAML{Size: formatSize(c.Rotate.Size), Every: formatDuration(c.Rotate.Every), OnSignal: c.Rotate.OnSignal, MaxFiles: c.Rotate.MaxFiles},

		MaxRate: formatRate(c.MaxRate), MaxCPU: formatPercent(c.MaxCPU), Over: c.Over,
		MaxSize: formatSize(c.MaxSize), Duration: formatDuration(c.Duration), Delay: formatDuration(c.Delay),
		Ring: formatSize(int64(c.RingBytes)), Period: c.Period, OnFault: c.OnFault, Tier: c.Tier, KernelCompat: c.KernelCompat,
		TraceSelf: c.TraceSelf, FailOnLoss: c.FailOnLoss, Threads: c.Threads, Decode: c.Decode, Types: c.Types,
		Overwrite: c.Overwrite, Trigger: c.Trigger, Before: formatDuration(c.Before), After: formatDuration(c.After),
		Engine: c.Engine, RetMode: c.RetMode, Unsafe: c.UnsafeUretprobe, CgroupIDs: c.CgroupIDs,
	}
	if c.Target.NoInherit {
		no := false
		j.Target.Inherit = &no
	}
	if s := c.Stacks; s.Mode != "" {
		j.Stacks = &stacksYAML{Mode: s.Mode, Kernel: s.Kernel, User: s.User, Inline: s.Inline, Size: formatSize(int64(s.Size))}
	}
	for _, e := range c.Events {
		j.Events = append(j.Events, eventYAML{Event: e.Select, Binary: e.Binary, Filter: e.Filter})
	}
	for _, o := range c.Outputs {
		j.Outputs = append(j.Outputs, outputYAML(o))
	}
	return j
}
