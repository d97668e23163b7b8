package uprobe

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
	"github.com/perfpipe/perfpipe/uprobe/internal/usdt"
)

// planStatic is Plan for static probes.
func (r *Resolver) planStatic(p *Probe, b *binary) error {
	s := p.Spec
	all, err := b.static()
	if err != nil && len(all) == 0 {
		return err
	}
	if err != nil {
		p.warn("%v", err)
	}
	chosen, err := chooseStatic(all, s, b.name)
	if err != nil {
		return err
	}
	provider, name := s.Provider, s.Name
	if len(chosen) == 1 {
		provider, name = chosen[0].Provider, chosen[0].Name
	}
	p.Name = provider + ":" + name
	var sites []Site
	bufs := map[string]int{}
	most := 0
	for i := range chosen {
		for _, us := range chosen[i].Sites {
			most = max(most, len(us.Args))
		}
	}
	for i := range chosen {
		for _, us := range chosen[i].Sites {
			list, err := p.operands(&us, most, bufs)
			if err != nil {
				return fmt.Errorf("%s:%s at 0x%x: %w", chosen[i].Provider, chosen[i].Name, us.Vaddr, err)
			}
			if us.SemaphoreVaddr != 0 && us.SemaphoreOffset == 0 {
				p.warn("%s:%s is turned on by a counter that is in no part of the file that is loaded: it may never fire", chosen[i].Provider, chosen[i].Name)
			}
			sites = append(sites, Site{Func: chosen[i].Provider + ":" + chosen[i].Name, Offset: us.Offset, RefCtr: us.SemaphoreOffset, args: list})
		}
	}
	p.Variants = variants(sites, bufs)
	return nil
}

// static reads the static probes of the file.
func (b *binary) static() ([]usdt.Probe, error) {
	return usdt.Read(b.ELF())
}

// chooseStatic takes the probes that the spec names.
func chooseStatic(all []usdt.Probe, s *Spec, binary string) ([]usdt.Probe, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no static probes (no stapsdt notes)", binary)
	}
	var chosen []usdt.Probe
	var names []string
	for _, u := range all {
		okP, err := path.Match(s.Provider, u.Provider)
		okN, err2 := path.Match(s.Name, u.Name)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("%s:%s is no glob: %w", s.Provider, s.Name, err)
		}
		if okP && okN || s.Provider == u.Provider && s.Name == u.Name {
			chosen = append(chosen, u)
		}
		names = append(names, u.Provider+":"+u.Name)
	}
	if len(chosen) > 0 {
		return chosen, nil
	}
	return nil, fmt.Errorf("%s has no static probe %s:%s%s", binary, s.Provider, s.Name, nearest(s.Name, names))
}

// operands says how a static probe's arguments are fetched at one place. most is the
// number of arguments at the place that has the most: what others have more is null here.
func (p *Probe) operands(us *usdt.Site, most int, bufs map[string]int) ([]fetch.Arg, error) {
	s := p.Spec
	want := s.Args
	if !s.HasArgs || len(want) == 1 && want[0].Base == "*" {
		want = nil
		for i := range most {
			want = append(want, Arg{Base: fmt.Sprintf("arg%d", i)})
		}
	}
	var list []fetch.Arg
	for _, a := range want {
		n, ok := strings.CutPrefix(a.Base, "arg")
		i, err := strconv.Atoi(n)
		if !ok || err != nil || len(a.Path) > 0 {
			return nil, fmt.Errorf("%q: the arguments of a static probe have no names and no members: they are arg0 to arg%d, as in (name=arg0:string)", a.Base, max(0, most-1))
		}
		if i < 0 || i >= most {
			return nil, fmt.Errorf("%s: there are %d arguments, counted from arg0", a.Base, most)
		}
		name := columnOf(a)
		f := fetch.Arg{Name: name, Null: fmt.Sprintf("a place with %d arguments has no %s", len(us.Args), a.Base)}
		if i < len(us.Args) {
			if f, err = us.Args[i].Fetch(name, a.Type, a.Len); err != nil {
				return nil, err
			}
		}
		if f.Null != "" {
			p.warn("%s is always null at one place or more: %s", name, f.Null)
		}
		if a.Type == "buf" {
			bufs[name] = a.Len
		}
		if slices.ContainsFunc(list, func(o fetch.Arg) bool { return o.Name == f.Name }) {
			return nil, fmt.Errorf("two arguments are called %s; name=arg%d:... gives one another name", f.Name, i)
		}
		list = append(list, f)
	}
	return list, nil
}

// nearest names what is like name, for a message.
func nearest(name string, of []string) string {
	const show = 6
	var near []string
	for _, o := range of {
		_, last, _ := strings.Cut(o, ":")
		if strings.Contains(last, name) || strings.Contains(name, last) || common(last, name) >= (len(name)+1)/2 {
			near = append(near, o)
		}
	}
	if len(near) == 0 {
		near = of
	}
	more := ""
	if len(near) > show {
		more = fmt.Sprintf(" and %d more", len(near)-show)
		near = near[:show]
	}
	return "; it has " + strings.Join(near, ", ") + more
}

// common is the length of what both begin with.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
