package uprobe

import (
	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// program describes the record of a variant for a program that makes it in the
// kernel's stead; nil where no single program can: sites that differ in what they
// fetch, or whose records say which of the functions they are of. s is the layout.
func (v *Variant) program(p *Probe, s *perfpipe.Schema) *bpf.Probe {
	pid := s.Field("common_pid")
	if v.numbered || len(v.Sites) == 0 || pid == nil {
		return nil
	}
	first := v.fetches(&v.Sites[0])
	for i := range v.Sites[1:] {
		for k, t := range v.fetches(&v.Sites[1+i]) {
			if t != first[k] {
				return nil
			}
		}
	}
	d := &bpf.Probe{Type: s.ID, PID: pid.Offset, Func: -1, Size: s.Size}
	ip := "__probe_ip"
	if p.Mode == RetTrampoline {
		ip = "__probe_ret_ip"
		d.Func = s.Field("__probe_func").Offset
	}
	d.IP = s.Field(ip).Offset
	at, _ := v.places(s.Field(ip).Offset + 8)
	for _, t := range first {
		f := bpf.Field{Expr: t.expr, Type: t.typ, Offset: at[t.name], Check: -1}
		switch t.serves {
		case checkSuffix, headSuffix:
			// A program tells by the value's own read what these are for.
			continue
		}
		if off, ok := at[t.name+checkSuffix]; ok {
			f.Check = off
		}
		d.Fields = append(d.Fields, f)
	}
	return d
}
