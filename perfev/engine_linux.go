package perfev

import "fmt"

// refuse notes why an engine cannot record an event after all, and has the next one
// do it; where there is none, that is the error.
func (s *Source) refuse(event int, err error) error {
	ch := &s.choice[event]
	for {
		e := ch.Engine
		if !ch.refuse(err) {
			return fmt.Errorf("record %s by %s: %w", s.schemas[event].Event(), e, err)
		}
		if err = s.cfg.unable(ch.Engine, event); err == nil {
			return nil
		}
	}
}

// Choice returns what makes the records of an event of Config.Events. Those of
// [EngineBPF] are not filtered, whatever [Event.Filter] says.
func (s *Source) Choice(event int) Choice { return s.choice[event] }

// by lists the events that an engine records.
func (s *Source) by(e Engine) []int {
	var list []int
	for i := range s.choice {
		if s.choice[i].Engine == e {
			list = append(list, i)
		}
	}
	return list
}
