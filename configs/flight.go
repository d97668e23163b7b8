package configs

import (
	"errors"

	"go.yaml.in/yaml/v3"
)

// CheckFlight returns what of a flight recorder c asks for that cannot be together.
func (c *Capture) CheckFlight() error {
	_, err := c.flightFault()
	return err
}

// flightFault is CheckFlight, and the key that the fault is with.
func (c *Capture) flightFault() (key string, err error) {
	switch {
	case c.Trigger != "" && !c.Overwrite:
		return "trigger", errors.New("trigger asks for dumps of a flight recorder: it needs overwrite")
	case c.Before != 0 && !c.Overwrite:
		return "before", errors.New("before says how far back dumps of a flight recorder go: it needs overwrite")
	case c.After != 0 && c.Trigger == "":
		return "after", errors.New("after says how far dumps go on behind a trigger: it needs trigger")
	case c.Before < 0 || c.After < 0:
		return "before", errors.New("before and after must not be negative")
	case c.Overwrite && c.Period > 1:
		return "overwrite", errors.New("overwrite: what was overwritten could not be counted where every so many-th event is recorded; take the period away")
	case c.Overwrite && c.Rotate.Every > 0:
		return "overwrite", errors.New("overwrite: nothing is written between dumps that files could be rotated for by time; rotate by signal, and each dump has its own")
	case c.Overwrite && (c.MaxRate > 0 || c.MaxCPU > 0):
		return "overwrite", errors.New("overwrite: a budget of rows a second or of processor time would take a dump apart, which comes at once; the size of the rings bounds it")
	}
	return "", nil
}

// flight checks what belongs to the flight recorder; before is how many faults there
// were before the job's.
func (d *decoder) flight(c *Capture, at *jobNodes, before int) {
	if len(d.faults) > before {
		return
	}
	if key, err := c.flightFault(); err != nil {
		n := map[string]*yaml.Node{"trigger": at.trigger, "before": at.before, "after": at.after, "overwrite": at.overwrite}[key]
		d.fail(n, "%v", err)
		return
	}
	if at.trigger != nil && d.check.Trigger != nil {
		d.failWithin(at.trigger, d.check.Trigger(c))
	}
}
