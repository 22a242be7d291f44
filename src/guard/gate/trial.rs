//! A server of paper for tests: queries with given needs ask, run for as long as they take, and end; the gate decides when.

use std::collections::{BTreeMap, BTreeSet};

use super::tests::at;
use super::{Ask, Ended, Gate, GateInput, GateOutput, QueryNumber, Refusal};

/// A query to come.
#[derive(Debug, Clone, Default)]
pub(super) struct Job {
    pub(super) ask: Ask,
    /// When it asks.
    pub(super) at_ms: i64,
    pub(super) duration_ms: i64,
    pub(super) memory_bytes: u64,
    pub(super) read_rows: u64,
    pub(super) read_bytes: u64,
    /// Code and message with which it fails by itself.
    pub(super) failure: Option<(u32, &'static str)>,
    /// Its asker goes after so long.
    pub(super) patience_ms: Option<i64>,
    /// What else happens at that moment, before it asks.
    pub(super) event: Option<GateInput>,
}

/// What became of the queries.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fate {
    /// When each started, in milliseconds.
    pub(super) started: BTreeMap<QueryNumber, i64>,
    /// What was refused, or would have been.
    pub(super) refused: BTreeMap<QueryNumber, Refusal>,
    /// Whose askers went.
    pub(super) left: BTreeSet<QueryNumber>,
    /// Most that ran at once: reads, all.
    pub(super) reads_max: usize,
    pub(super) total_max: usize,
    /// Everything the gate said, as text.
    pub(super) told: Vec<String>,
}

/// What is to happen: ends come before asks of the same moment, and those of queries that had waited before others, as the
/// gate's paper has it. In which order two queries of the same millisecond end is nobody's to say, but it decides what
/// starts next and what was learned last: with another order here, shadow mode and enforcing would differ in that alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    EndAfterWait,
    End,
    Leave,
    Ask,
}

pub(super) struct Trial<'a> {
    gate: &'a mut Gate,
    jobs: &'a [Job],
    /// Whether ClickHouse holds queries to the caps they were let in with.
    enforces_caps: bool,
    due: BTreeSet<(i64, Due, usize)>,
    settings: BTreeMap<usize, Vec<(&'static str, String)>>,
    running: BTreeSet<usize>,
    fate: Fate,
}

/// Runs all jobs to their end.
pub(super) fn run(gate: &mut Gate, jobs: &[Job], enforces_caps: bool) -> Fate {
    let due = jobs.iter().enumerate().map(|(i, job)| (job.at_ms, Due::Ask, i)).collect();
    let mut trial = Trial {
        gate,
        jobs,
        enforces_caps,
        due,
        settings: BTreeMap::new(),
        running: BTreeSet::new(),
        fate: Fate::default(),
    };
    trial.run();
    trial.fate
}

impl Trial<'_> {
    fn run(&mut self) {
        let mut now = 0;
        loop {
            let wake = self.gate.next_wake().map(|wake| wake.since(at(0)));
            let next = self.due.first().copied();
            match (next, wake) {
                // What the gate has to do by itself comes first: both kinds of gate see it at the same moment.
                (next, Some(wake)) if next.is_none_or(|(due, ..)| wake < due) && wake >= now => {
                    now = wake;
                    let outputs = self.gate.apply(GateInput::Tick, at(wake));
                    self.take(outputs, wake);
                    assert!(self.gate.next_wake().is_none_or(|next| next > at(wake)), "a tick does what was due");
                }
                (Some(next), _) => {
                    self.due.remove(&next);
                    now = next.0;
                    self.happen(next);
                    // On paper something may still end at this moment, and of one who had left before the gate hears nothing.
                    let is_heard = self.enforces_caps && next.1 != Due::Leave;
                    let again = is_heard.then(|| self.gate.clone().apply(GateInput::Tick, at(now)));
                    assert!(again.is_none_or(|outputs| outputs.is_empty()), "what could start has started");
                }
                (None, _) => return,
            }
        }
    }

    fn happen(&mut self, (now, due, i): (i64, Due, usize)) {
        let job = &self.jobs[i];
        let number = job.ask.number;
        let outputs = match due {
            Due::Ask => {
                if let Some(event) = job.event.clone() {
                    let outputs = self.gate.apply(event, at(now));
                    self.take(outputs, now);
                }
                self.due.extend(job.patience_ms.map(|patience| (now + patience, Due::Leave, i)));
                self.gate.apply(GateInput::Ask(job.ask.clone()), at(now))
            }
            Due::End | Due::EndAfterWait => {
                self.running.remove(&i);
                self.gate.apply(GateInput::Ended(number, self.end_of(i)), at(now))
            }
            Due::Leave => {
                let waits = !self.fate.started.contains_key(&number) && !self.fate.refused.contains_key(&number);
                if !waits && !self.running.contains(&i) {
                    return;
                }
                self.fate.left.insert(number);
                self.running.remove(&i);
                self.due.retain(|(_, due, other)| !(matches!(due, Due::End | Due::EndAfterWait) && *other == i));
                self.gate.apply(GateInput::Left(number), at(now))
            }
        };
        self.take(outputs, now);
    }

    fn end_of(&self, i: usize) -> Ended {
        let job = &self.jobs[i];
        let cap = |name: &str| {
            let settings = self.settings.get(&i).filter(|_| self.enforces_caps)?;
            settings.iter().find(|(n, _)| *n == name)?.1.parse::<u64>().ok()
        };
        let above = |value: u64, name: &str| cap(name).is_some_and(|cap| value > cap);
        let failure = if job.failure.is_some() {
            job.failure
        } else if above(job.memory_bytes, "max_memory_usage") {
            Some((241, "Query memory limit exceeded"))
        } else if above(job.read_bytes, "max_bytes_to_read") {
            Some((307, ""))
        } else {
            None
        };
        Ended {
            exception_code: failure.map(|(code, _)| code),
            exception: failure.map(|(_, text)| text.to_owned()),
            memory_bytes: Some(job.memory_bytes),
            read_rows: Some(job.read_rows),
            read_bytes: Some(job.read_bytes),
            duration_ms: job.duration_ms as u64,
            own_caps: Vec::new(),
            is_partial: false,
        }
    }

    fn take(&mut self, outputs: Vec<GateOutput>, now: i64) {
        for output in outputs {
            self.fate.told.push(format!("{now} {output:?}"));
            let i = self.jobs.iter().position(|job| job.ask.number == output.number()).expect("one of the jobs");
            match output {
                GateOutput::Admit { number, settings, shadow } => {
                    assert!(self.fate.started.insert(number, now).is_none(), "{number} started twice");
                    assert!(!self.fate.refused.contains_key(&number) && !self.fate.left.contains(&number));
                    self.fate.refused.extend(shadow.map(|refusal| (number, refusal)));
                    self.settings.insert(i, settings);
                    self.running.insert(i);
                    let end = if now > self.jobs[i].at_ms { Due::EndAfterWait } else { Due::End };
                    self.due.insert((now + self.jobs[i].duration_ms, end, i));
                }
                GateOutput::Refuse(number, refusal) => {
                    assert!(!self.fate.started.contains_key(&number), "{number} was running");
                    assert!(self.fate.refused.insert(number, refusal).is_none(), "{number} refused twice");
                }
                GateOutput::WouldRefuse(number, refusal) => {
                    assert!(self.fate.started.contains_key(&number), "{number} runs in shadow mode");
                    assert!(self.fate.refused.insert(number, refusal).is_none(), "{number} refused twice");
                }
            }
            let reads = self.running.iter().filter(|i| !self.jobs[**i].ask.writes).count();
            self.fate.reads_max = self.fate.reads_max.max(reads);
            self.fate.total_max = self.fate.total_max.max(self.running.len());
        }
    }
}
