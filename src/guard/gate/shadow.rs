//! Shadow mode: every query runs at once and uncapped, and beside it admission is enforced on paper. A query that would
//! wait begins later there, and ends later by as much; one that would be refused does not exist there; one that takes more
//! than its caps fails there. So what shadow mode tells is what enforcing would have done, from the first refusal on.

use std::collections::{BTreeMap, BTreeSet};

use super::admission::Admission;
use super::{Ended, GateInput, GateOutput, QueryNumber};
use crate::model::Timestamp;

/// A query that exists on paper.
#[derive(Debug, Clone)]
struct Follow {
    /// When it began in truth.
    asked: Timestamp,
    /// When it began on paper; absent: it waits there.
    started: Option<Timestamp>,
    /// How it ended in truth, and when.
    ended: Option<(Ended, Timestamp)>,
}

/// The paper. Bounded by the slots and queues of the admission it follows: what neither runs nor waits there is not on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shadow {
    follows: BTreeMap<QueryNumber, Follow>,
    /// Ends on paper that are still to come.
    ends: BTreeSet<(Timestamp, QueryNumber)>,
}

impl Shadow {
    pub(super) fn apply(&mut self, admission: &mut Admission, input: GateInput, at: Timestamp) -> Vec<GateOutput> {
        let at = at.max(admission.now);
        let mut outputs = Vec::new();
        while let Some((end, number)) = self.ends.first().copied().filter(|(end, _)| *end <= at) {
            self.ends.remove(&(end, number));
            self.end(admission, number, end, &mut outputs);
        }
        match input {
            GateInput::Ask(ask) => {
                let number = ask.number;
                self.follows.entry(number).or_insert(Follow { asked: at, started: None, ended: None });
                let decided = self.decide(admission, GateInput::Ask(ask), at);
                self.asked(number, decided, at, &mut outputs);
            }
            GateInput::Ended(number, ended) => self.ended(admission, number, ended, at, &mut outputs),
            GateInput::Left(number) => {
                let decided = self.decide(admission, GateInput::Left(number), at);
                self.take(decided, at, &mut outputs);
                self.forget_unless_running(admission, number);
            }
            GateInput::EndTold(number, told) => {
                let told = as_capped(admission, number, told);
                let decided = self.decide(admission, GateInput::EndTold(number, told), at);
                self.take(decided, at, &mut outputs);
            }
            other => {
                let decided = self.decide(admission, other, at);
                self.take(decided, at, &mut outputs);
            }
        }
        outputs
    }

    /// When something happens on paper by itself next.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// What admission says. It gives up slots of queries whose askers went too long ago, and tells nobody; of many of them,
    /// as of writes, no end is ever heard.
    fn decide(&mut self, admission: &mut Admission, input: GateInput, at: Timestamp) -> Vec<GateOutput> {
        for number in admission.running.left_behind(at) {
            self.forget(number);
        }
        admission.apply(input, at)
    }

    /// What was decided about a query that just asked, and about others.
    fn asked(&mut self, number: QueryNumber, decided: Vec<GateOutput>, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        let (own, others): (Vec<_>, Vec<_>) = decided.into_iter().partition(|output| output.number() == number);
        let mut shadow = None;
        for output in own {
            match output {
                GateOutput::Refuse(_, refusal) => {
                    self.follows.remove(&number);
                    shadow = Some(refusal);
                }
                _ => self.started(number, at),
            }
        }
        outputs.push(GateOutput::Admit { number, settings: Vec::new(), shadow });
        self.take(others, at, outputs);
    }

    /// What was decided about queries that wait on paper and run in truth.
    fn take(&mut self, decided: Vec<GateOutput>, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        for output in decided {
            match output {
                GateOutput::Refuse(number, refusal) => {
                    self.follows.remove(&number);
                    outputs.push(GateOutput::WouldRefuse(number, refusal));
                }
                GateOutput::Admit { number, .. } => self.started(number, at),
                GateOutput::WouldRefuse(..) => {}
            }
        }
    }

    fn started(&mut self, number: QueryNumber, at: Timestamp) {
        let Some(follow) = self.follows.get_mut(&number) else { return };
        follow.started = Some(at);
        if let Some((_, ended)) = &follow.ended {
            self.ends.insert((at.plus(ended.since(follow.asked)), number));
        }
    }

    fn ended(
        &mut self,
        admission: &mut Admission,
        number: QueryNumber,
        ended: Ended,
        at: Timestamp,
        outputs: &mut Vec<GateOutput>,
    ) {
        let Some(follow) = self.follows.get_mut(&number) else { return };
        follow.ended = Some((ended, at));
        let Some(started) = follow.started else { return };
        let end = started.plus(at.since(follow.asked));
        if end > at {
            self.ends.insert((end, number));
        } else {
            self.end(admission, number, at, outputs);
        }
    }

    fn end(&mut self, admission: &mut Admission, number: QueryNumber, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        let Some((ended, _)) = self.follows.remove(&number).and_then(|follow| follow.ended) else { return };
        let ended = as_capped(admission, number, ended);
        let decided = self.decide(admission, GateInput::Ended(number, ended), at);
        self.take(decided, at, outputs);
    }

    /// One whose asker has gone ends on paper when it does in truth; one that waited there is gone.
    fn forget_unless_running(&mut self, admission: &Admission, number: QueryNumber) {
        if !admission.running.contains(number) {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: QueryNumber) {
        if self.follows.remove(&number).is_some() {
            self.ends.retain(|(_, other)| *other != number);
        }
    }
}

/// How a query that ran uncapped would have ended under its caps.
fn as_capped(admission: &mut Admission, number: QueryNumber, ended: Ended) -> Ended {
    let run = admission.running.get(number).or_else(|| admission.pending.get(number));
    let Some(caps) = run.map(|run| run.caps) else { return ended };
    let above = |value: Option<u64>, cap: Option<u64>| value.zip(cap).is_some_and(|(value, cap)| value > cap);
    let (code, text) = if above(ended.memory_bytes, caps.memory_bytes) {
        (241, "Query memory limit exceeded")
    } else if above(ended.read_bytes, caps.read_bytes) {
        (307, "Limit for bytes to read exceeded")
    } else if above(Some(ended.duration_ms), caps.duration_ms) {
        (159, "Timeout exceeded")
    } else {
        return ended;
    };
    if ended.exception_code.is_some() {
        return ended;
    }
    admission.counts.would_be_capped += 1;
    Ended {
        exception_code: Some(code),
        exception: Some(text.to_owned()),
        own_caps: Vec::new(),
        is_partial: false,
        ..ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LIMIT_BYTES, at, policy};
    use super::super::{Ask, Gate};
    use super::*;

    #[test]
    fn askers_that_went_are_not_followed_for_ever() {
        let mut gate = Gate::new(policy(false), LIMIT_BYTES).with_cores(8);
        let followed = |gate: &Gate| gate.shadow.as_ref().map(|shadow| (shadow.follows.len(), shadow.ends.len()));
        for number in 0..1_000_u64 {
            let writes = number % 2 == 0;
            let tenant = if writes { "writer" } else { "ann" }.to_owned();
            let now = number as i64 * 1_000;
            gate.apply(GateInput::Ask(Ask { number, tenant, writes, ..Ask::default() }), at(now));
            // Of the reading ones some end after their askers have gone, of the writes nobody hears.
            gate.apply(GateInput::Left(number), at(now + 100));
            if number % 4 == 1 {
                gate.apply(GateInput::Ended(number, Ended::default()), at(now + 500));
            }
            assert!(
                followed(&gate).is_some_and(|(follows, ends)| follows <= 12 && ends <= 12),
                "{:?}",
                followed(&gate)
            );
        }
        gate.apply(GateInput::Tick, at(2_000_000));
        assert_eq!(followed(&gate), Some((0, 0)));
    }
}
