//! Everything that people and the machine have stated: incidents, announced work, words; who did what; done once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::incidents::{CommandError, Done, Incidents, MachineAct, Request, Settings};
use super::schedule::Schedule;
use super::{Authority, ComponentChange, ComponentState};
use crate::model::{IncidentReport, Timestamp};

/// Acts that are kept for the record; the oldest go.
pub const ACTS_MAX: usize = 1_000;
/// Requests with a key that are remembered; the oldest go.
pub const KEYS_MAX: usize = 1_000;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 128;
/// Longest name of a person.
pub const WHO_BYTES_MAX: usize = 200;
/// Of a person's words the record has the beginning; the whole is where they were said.
const WORDS_CHARS_MAX: usize = 200;
/// Who the machine is in the record.
const MACHINE: &str = "the machine";

/// Everything that was stated. One owner applies changes, reports and commands in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Statements {
    /// Drafts and published incidents.
    pub incidents: Incidents,
    /// Announced work and words of people.
    pub schedule: Schedule,
    acts: VecDeque<Act>,
    /// All there were.
    acts_done: u64,
    keys: VecDeque<Key>,
}

/// Something that somebody did. Never public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who: a token's name, who they said they are, or the machine.
    pub who: String,
    /// What: the name of the command, or of what the machine did.
    pub what: String,
    /// To what: identity of a draft, an incident, a maintenance or a component.
    pub id: String,
    /// The beginning of what they wrote.
    pub words: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    key: String,
    command: String,
    done: Done,
}

impl Statements {
    /// A component changed. `now` is the wall clock.
    pub fn component_changed(&mut self, change: &ComponentChange, settings: &Settings, now: Timestamp) {
        let acts = self.incidents.component_changed(change, settings, now);
        self.note_machine(acts, now);
    }

    /// An internal incident began, changed or ended.
    pub fn report(&mut self, report: &IncidentReport, settings: &Settings) {
        self.incidents.report(report, settings);
    }

    /// Looks at the clock: `now` on the wall, `measured_until` of events.
    pub fn tick(&mut self, settings: &Settings, now: Timestamp, measured_until: Option<Timestamp>) {
        let acts = self.incidents.tick(settings, now, measured_until);
        self.note_machine(acts, now);
    }

    /// Does what a person asks.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing has changed then.
    pub fn command(&mut self, request: &Request, settings: &Settings) -> Result<Done, CommandError> {
        let Request { command, who, at, key } = request;
        if who.trim().is_empty() || who.len() > WHO_BYTES_MAX {
            return Err(CommandError::Refused(format!("author: must have 1 to {WHO_BYTES_MAX} bytes")));
        }
        let fingerprint = fingerprint(request);
        if let Some(key) = key {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(CommandError::Refused(format!("idempotency_key: must have 1 to {KEY_BYTES_MAX} bytes")));
            }
            if let Some(known) = self.keys.iter().find(|known| known.key == *key) {
                let other = "idempotency_key: was used for another command";
                let is_same = known.command == fingerprint;
                let repeated = Done { repeated: true, ..known.done.clone() };
                return if is_same { Ok(repeated) } else { Err(CommandError::refused(other)) };
            }
        }
        let done = match self.incidents.obey(command, who, settings, *at) {
            Some(done) => done?,
            None => {
                let check = self.incidents.word_check(settings);
                let done = self.schedule.obey(command, who, (settings, &check), *at);
                done.ok_or_else(|| CommandError::refused("nobody knows this command"))??
            }
        };
        if let Some(key) = key {
            push(&mut self.keys, KEYS_MAX, Key { key: key.clone(), command: fingerprint, done: done.clone() });
        }
        let words = command.written().chars().take(WORDS_CHARS_MAX).collect();
        let (what, id) = (command.name().to_owned(), done.id.clone());
        self.note(Act { at: *at, who: who.clone(), what, id, words });
        Ok(done)
    }

    /// How people say a component is at a moment; absent where what is measured counts.
    #[must_use]
    pub fn state_at(&self, component: &str, at: Timestamp) -> Option<(ComponentState, Authority)> {
        self.schedule.state_at(component, at)
    }

    /// How many acts there were, those included that are not kept any more.
    #[must_use]
    pub fn acts_done(&self) -> u64 {
        self.acts_done
    }

    /// Who did what, the newest first.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        self.acts.iter().rev()
    }

    fn note(&mut self, act: Act) {
        self.acts_done += 1;
        push(&mut self.acts, ACTS_MAX, act);
    }

    fn note_machine(&mut self, acts: Vec<MachineAct>, now: Timestamp) {
        for MachineAct { incident, status, is_new } in acts {
            let what = format!("{} {}", if is_new { "publish" } else { "update" }, status.as_str());
            let act = Act { at: now, who: MACHINE.to_owned(), what, id: incident, words: String::new() };
            self.note(act);
        }
    }
}

fn push<T>(kept: &mut VecDeque<T>, bound: usize, new: T) {
    if kept.len() >= bound {
        kept.pop_front();
    }
    kept.push_back(new);
}

/// The same for the same command of the same person.
fn fingerprint(request: &Request) -> String {
    // A command of texts and times always serialises.
    let text = serde_json::to_string(&(&request.command, &request.who)).unwrap_or_default();
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
