package perfev

import "errors"

// openTrace hands the events that ftrace should record to the next engine.
func (s *Source) openTrace([]int, int) error {
	for _, i := range s.by(EngineFtrace) {
		if err := s.refuse(i, errors.New("its reader is not here yet")); err != nil {
			return err
		}
	}
	return nil
}
