//! What follows from the end of a query: its slot is free, what it took is learned, its own failure is charged.

use super::admission::Admission;
use super::caps::Rung;
use super::ended_runs::EndedRun;
use super::offence::{Offence, offence};
use super::running::{Running, breaker_keys};
use super::{Ended, QueryNumber};
use crate::model::Timestamp;

impl Admission {
    pub(super) fn ended(&mut self, number: QueryNumber, ended: &Ended, at: Timestamp) {
        let Some(run) = self.running.remove(number) else { return };
        if run.writes {
            return;
        }
        if let Some(queue) = self.queues.get_mut(&run.class) {
            queue.ended(&run.tenant, run.started, at);
        }
        let is_charged = if ended.is_partial {
            let pushed_out = self.pending.add(number, run.clone(), ended.clone(), at);
            if let Some(end) = pushed_out {
                self.judge(end.number, &end.run, &end.ended, at);
            }
            run.is_killed
        } else {
            self.judge(number, &run, ended, at) || run.is_killed
        };
        if !run.query_id.is_empty() {
            let (keys, scan, is_probe) = (run.keys(), run.scan, run.is_probe);
            self.ended_runs.add(EndedRun { number, query_id: run.query_id, keys, scan, is_probe, is_charged, at });
        }
    }

    /// More is known of a run whose end was heard in part.
    pub(super) fn end_told(&mut self, number: QueryNumber, told: Ended, at: Timestamp) {
        let Some(end) = self.pending.take(number) else { return };
        let ended = Ended { duration_ms: end.ended.duration_ms, own_caps: end.ended.own_caps, ..told };
        self.judge(number, &end.run, &ended, at);
    }

    /// Learns from a run, and charges it, or lets it prove its fingerprint. Whether it was charged.
    pub(super) fn judge(&mut self, number: QueryNumber, run: &Running, ended: &Ended, at: Timestamp) -> bool {
        let keys = run.keys();
        let charged = self.charged(run, ended);
        let has_failed = ended.exception_code.is_some() || run.is_killed || run.left.is_some();
        if charged.is_some() || !has_failed {
            let threads = self.class(&run.class).and_then(|class| self.caps_of(class, 1.0).threads);
            self.learned.learn(&run.class, &run.fingerprint, run.scan, &run.taken(ended, charged, threads));
        }
        match charged {
            Some(what) => {
                self.counts.offence(what);
                self.breakers.charge(&keys[0], run.scan, Some(number), what, at);
                self.breakers.charge_if_open(&keys[1], run.scan, number, what, at);
            }
            None if has_failed => self.breakers.release(&keys, number),
            None => self.breakers.prove(&keys, number),
        }
        charged.is_some()
    }

    /// The offence with which a failure is charged, if it is the query's own fault.
    fn charged(&mut self, run: &Running, ended: &Ended) -> Option<Offence> {
        let code = ended.exception_code.filter(|_| !run.is_killed)?;
        let what = offence(code, ended.exception.as_deref().unwrap_or_default());
        let half_ms = run.caps.duration_ms.unwrap_or(u64::MAX) / 2;
        // By others that run, or by the gate itself, with fewer threads.
        let is_slowed = what == Some(Offence::Time)
            && !run.is_probe
            && (run.rung > Rung::Full || self.learned.usually_ends_within(&run.fingerprint, run.scan, half_ms));
        let is_own_cap = what.is_some_and(|what| ended.own_caps.contains(&what));
        let charged = what.filter(|_| !is_slowed && !is_own_cap && (run.is_probe || !run.is_reduced));
        if charged.is_none() {
            self.counts.failures_not_charged += 1;
        }
        charged
    }

    pub(super) fn killed(&mut self, fingerprint: &str, query_id: &str, at: Timestamp) {
        self.counts.offence(Offence::Killed);
        let (number, keys, scan) = match self.running.kill(fingerprint, query_id) {
            Some((number, run)) => (number, run.keys(), run.scan),
            // ClickHouse has told of its end before the watchdog did.
            None => match self.ended_runs.take(fingerprint, query_id, at) {
                Some(run) if run.is_charged => return,
                Some(run) => {
                    self.pending.kill(run.number);
                    if run.is_probe {
                        // Its end was no verdict; this is.
                        self.breakers.claim(&run.keys, run.scan, run.number, at);
                    }
                    (run.number, run.keys, run.scan)
                }
                // Not one of ours: it came past the proxy, or before its restart. All classes, all scans.
                None => {
                    return self.breakers.charge(&breaker_keys("", fingerprint)[1], 0, None, Offence::Killed, at);
                }
            },
        };
        self.breakers.charge(&keys[0], scan, Some(number), Offence::Killed, at);
        self.breakers.charge_if_open(&keys[1], scan, number, Offence::Killed, at);
    }
}
