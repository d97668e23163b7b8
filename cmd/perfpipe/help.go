package main

const rootHelp = `perfpipe turns on kernel tracepoints and probes on functions of user programs, filters
their events with C expressions, and writes typed Parquet and Arrow tables, with an
exact account of what was lost. perf record's flags keep their letters and meanings.

Exit status:
  0    done; record and run: the command ended with 0
  1    an error while running
  2    usage: an unknown flag, event or function, a filter that does not compile
  3    finished, but events were lost, under --fail-on-loss
  77   permission lacks; the message names what is missing, "perfpipe doctor" all of it
  78   a job file is bad
  126  the command to record cannot be executed; 127: there is none of that name
  else the status of the recorded command; 128+N where signal N ended it

"run" takes defaults from perfpipe.yaml in /etc/perfpipe, $XDG_CONFIG_HOME/perfpipe and
the working folder, and from PERFPIPE_OUTPUT, _COMPRESSION, _LEVEL, _RING, _ON_FAULT and
_TYPES in the environment; a flag or the job file outranks them.`

const rootExample = `  perfpipe demo
  perfpipe doctor
  perfpipe record -e irq:irq_handler_entry --filter 'irq==18 || irq==19' -- sleep 1
  perfpipe record -e 'sched:*' -a -o sched.dataset -- sleep 1
  perfpipe record -e 'uretprobe:bash:readline(ret:string)' -o lines.parquet
  perfpipe probes -x libc.so.6 'str*'
  perfpipe run configs/irq.yaml
  perfpipe check configs/irq.yaml`
