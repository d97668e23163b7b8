// Package flight has a trigger ask a flight recorder for dumps.
//
//	small rings of the trigger's events ── read as they fill ──► Match
//	                                                              │ at t: a window from t-before to t+after
//	rings of the recorder, overwritten ──── dump at t+after ◄─────┘
//
// The recorder's rings are not read until a dump, so that what may be a trigger is
// captured a second time, by a source of its own with its filter pushed to the kernel
// as far as that goes.
package flight
