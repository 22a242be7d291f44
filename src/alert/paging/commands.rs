//! What people ask of the pager, and what the wall clock brings: silences and acknowledgements begin and end, no page does.

use serde::{Deserialize, Serialize};

use super::changes::{ChangeReason, PageChange};
use super::page_state::{Acknowledgement, PageState, Phase};
use super::pager::Pager;
use super::silence::{SILENCES_MAX, Silence, check_words};
use crate::model::{DurationMs, PageEvent, Text, Timestamp};

/// Longest an acknowledgement lasts: whoever has taken a page looks at it again within a week.
pub const ACKNOWLEDGEMENT_MS_MAX: DurationMs = 7 * 86_400_000;
/// After this long, by the wall clock, receivers have written down what they were handed.
const HANDED_AFTER_MS: DurationMs = 10_000;

/// A request of a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Somebody takes a page.
    Acknowledge {
        /// Which.
        key: Text,
        /// Who.
        author: Text,
        /// What they say about it; may be empty.
        note: String,
        /// Until when, by the wall clock.
        expires_at: Timestamp,
    },
    /// Nobody has it any more.
    Unacknowledge {
        /// Which.
        key: Text,
    },
    /// Nobody is to be told of some alerts. Its id is given here.
    Silence(Silence),
    /// A silence ends now.
    EndSilence {
        /// Which.
        id: Text,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No open page, or no silence in force, with this identity.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as it is asked for.
    #[error("{0}")]
    Refused(String),
}

/// A silence began or ended, for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SilenceChange {
    /// The silence.
    pub silence: Silence,
    /// `created`, `removed` or `expired`.
    pub event: Text,
    /// Wall clock.
    pub at: Timestamp,
}

/// What a request, or the wall clock, led to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Obeyed {
    /// What is said.
    pub pages: Vec<PageChange>,
    /// Silences that began or ended.
    pub silences: Vec<SilenceChange>,
}

impl Pager {
    /// Does what a person asks. `now` is the wall clock.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing has changed then.
    pub fn command(&mut self, command: Command, now: Timestamp) -> Result<Obeyed, CommandError> {
        self.now = now;
        let silences = match command {
            Command::Acknowledge { key, author, note, expires_at } => {
                self.acknowledge(&key, Acknowledgement { author, note, at: now, expires_at })?;
                Vec::new()
            }
            Command::Unacknowledge { key } => {
                let number = self.open_page_of(&key)?;
                self.end_acknowledgement(number);
                Vec::new()
            }
            Command::Silence(silence) => vec![self.silence(silence)?],
            Command::EndSilence { id } => {
                let silence = self.state.silences.remove(&id);
                let silence = silence.ok_or_else(|| CommandError::NotFound(format!("no silence {id} is in force")))?;
                let ended = SilenceChange { silence, event: "removed".into(), at: now };
                self.say_what_was_silenced();
                vec![ended]
            }
        };
        Ok(Obeyed { pages: std::mem::take(&mut self.said), silences })
    }

    /// The wall clock has come this far: what has an end by it ends.
    pub fn tick(&mut self, now: Timestamp) -> Obeyed {
        self.now = now;
        let is_over = |silence: &Silence| silence.ends_at <= now && !self.is_held(silence);
        let over: Vec<Text> =
            self.state.silences.iter().filter(|(_, s)| is_over(s)).map(|(id, _)| id.clone()).collect();
        let mut silences = Vec::new();
        for id in over {
            let ended = self.state.silences.remove(&id);
            silences.extend(ended.map(|silence| SilenceChange { silence, event: "expired".into(), at: now }));
        }
        if !silences.is_empty() {
            self.say_what_was_silenced();
        }
        let is_over = |taken: &Acknowledgement| taken.expires_at <= now;
        let is_over = |page: &PageState| page.acknowledgement.as_ref().is_some_and(is_over) && !self.is_in_doubt(page);
        let pages = self.state.pages.iter().filter(|(_, page)| is_over(page));
        let numbers: Vec<u32> = pages.map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| self.end_acknowledgement(number));
        let handed = self.state.handings.iter().filter(|(_, h)| now.since(h.said_at) >= HANDED_AFTER_MS);
        let handed: Vec<u64> = handed.map(|(number, _)| *number).collect();
        handed.iter().for_each(|number| drop(self.state.handings.remove(number)));
        Obeyed { pages: std::mem::take(&mut self.said), silences }
    }

    fn acknowledge(&mut self, key: &Text, taken: Acknowledgement) -> Result<(), CommandError> {
        let number = self.open_page_of(key)?;
        check_words("author", &taken.author).map_err(CommandError::Refused)?;
        if !taken.note.is_empty() {
            check_words("note", &taken.note).map_err(CommandError::Refused)?;
        }
        let lasts_ms = taken.expires_at.since(taken.at);
        if lasts_ms <= 0 || lasts_ms > ACKNOWLEDGEMENT_MS_MAX {
            let days = ACKNOWLEDGEMENT_MS_MAX / 86_400_000;
            return Err(CommandError::Refused(format!("an acknowledgement ends in the future, within {days} days")));
        }
        if let Some(page) = self.state.pages.get_mut(&number) {
            page.acknowledgement = Some(taken);
        }
        self.say(number, PageEvent::Acknowledged, ChangeReason::Person);
        Ok(())
    }

    fn open_page_of(&self, key: &Text) -> Result<u32, CommandError> {
        let mut open = self.state.pages.iter().filter(|(_, page)| page.phase != Phase::Resolved && page.key == *key);
        let missing = || CommandError::NotFound(format!("no page {key} is open"));
        open.next().map(|(number, _)| *number).ok_or_else(missing)
    }

    fn end_acknowledgement(&mut self, number: u32) {
        let Some(page) = self.state.pages.get_mut(&number) else { return };
        if page.acknowledgement.take().is_none() {
            return;
        }
        let event = if page.said.is_open { PageEvent::Updated } else { PageEvent::Opened };
        let is_in_doubt = self.state.pages.get(&number).is_some_and(|page| self.is_in_doubt(page));
        if event == PageEvent::Updated || !is_in_doubt {
            self.say(number, event, ChangeReason::Person);
        }
    }

    fn silence(&mut self, mut silence: Silence) -> Result<SilenceChange, CommandError> {
        if self.state.silences.len() >= SILENCES_MAX {
            return Err(CommandError::Refused(format!("there are {SILENCES_MAX} silences: end one first")));
        }
        silence.created_at = self.now;
        silence.check(self.now).map_err(CommandError::Refused)?;
        let number = self.state.numbers.silence_next;
        self.state.numbers.silence_next += 1;
        // Made anew with the state, it must not be taken for one of before.
        silence.id = Text::from(format!("{:x}-{number}", self.now.as_millis()));
        self.state.silences.insert(silence.id.clone(), silence.clone());
        Ok(SilenceChange { silence, event: "created".into(), at: self.now })
    }

    /// Whether a page may be over without anybody here knowing yet: the log has not been read since the restart. What
    /// ended meanwhile by the wall clock is told once an alert of it fires again.
    pub(super) fn is_in_doubt(&self, page: &PageState) -> bool {
        self.catch_up.is_some() || page.is_restored
    }

    /// Open pages of which a silence that is gone kept something.
    fn say_what_was_silenced(&mut self) {
        let is_kept =
            |page: &PageState| page.phase == Phase::Open && page.said.silenced_by.is_some() && !self.is_in_doubt(page);
        let kept = self.state.pages.iter().filter(|(_, page)| is_kept(page) && self.silence_of(page).is_none());
        let kept: Vec<(u32, bool)> = kept.map(|(number, page)| (*number, page.said.is_open)).collect();
        for (number, is_open) in kept {
            let event = if is_open { PageEvent::Updated } else { PageEvent::Opened };
            self.say(number, event, ChangeReason::SilenceEnded);
        }
    }
}
