//! What people ask of the schedule. Everything is looked at before anything changes.

use super::{
    Command, CommandError, Done, MAINTENANCE_MS_MAX, MAINTENANCES_MAX, Maintenance, NOTE_CHARS_MAX, Schedule, Settings,
    Timestamp, WORD_MS_MAX, WORDS_MAX, Word, WordCheck, end, is_under_way,
};
use crate::model::DurationMs;
use crate::status::ComponentState;
use crate::status::incidents::{Texts, known};

/// How long ahead work is announced.
const AHEAD_MS_MAX: DurationMs = 366 * 86_400_000;
/// Clocks of people and ours differ, and typing takes a while.
const LATE_MS_MAX: DurationMs = 120_000;

impl Schedule {
    /// Does what a person asks of the schedule; absent where it is not about it.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing has changed then.
    pub(in crate::status) fn obey(
        &mut self,
        command: &Command,
        who: &str,
        (settings, check): (&Settings, &WordCheck),
        now: Timestamp,
    ) -> Option<Result<Done, CommandError>> {
        let texts = Texts { check };
        Some(match command {
            Command::State { component, state, until, note } => {
                self.state((component, *state), *until, (note.as_deref(), who), (settings, texts), now)
            }
            Command::Clear { component } => self.clear(component, settings, now),
            Command::Announce { name, body, from, until, components } => {
                let span = (from.unwrap_or(now), *until);
                self.announce((name, body), span, components, (settings, texts), now)
            }
            Command::ChangeMaintenance { .. } => self.change(command, (settings, texts), now),
            Command::CancelMaintenance { maintenance } => self.cancel(maintenance, now),
            _ => return None,
        })
    }

    fn state(
        &mut self,
        (component, state): (&str, ComponentState),
        until: Timestamp,
        (note, who): (Option<&str>, &str),
        (settings, texts): (&Settings, Texts<'_>),
        now: Timestamp,
    ) -> Result<Done, CommandError> {
        known(std::slice::from_ref(&component.to_owned()), settings)?;
        if until <= now {
            return Err(CommandError::refused("until: must be in the future"));
        }
        if until.since(now) > WORD_MS_MAX {
            return Err(CommandError::refused("until: must be within 7 days: a person's word is looked at again"));
        }
        let note = note.map(str::trim).filter(|note| !note.is_empty());
        let note = note.map(|note| texts.of("note", note, NOTE_CHARS_MAX)).transpose()?;
        self.end_word(component, now);
        if self.words.len() >= WORDS_MAX {
            // Those that hold are one a component at most: the first of the ended is far below the bound.
            let ended = self.words.iter().position(|word| word.until <= now).unwrap_or_default();
            self.words.remove(ended);
        }
        self.words.push_back(Word {
            component: component.to_owned(),
            state,
            from: now,
            until,
            note: note.map(crate::status::PublicText::into_string),
            who: who.to_owned(),
        });
        Ok(Done::of(component))
    }

    fn clear(&mut self, component: &str, settings: &Settings, now: Timestamp) -> Result<Done, CommandError> {
        known(std::slice::from_ref(&component.to_owned()), settings)?;
        if !self.end_word(component, now) {
            return Err(CommandError::NotPossible(format!("nobody has said how {component} is: it is measured")));
        }
        Ok(Done::of(component))
    }

    /// Whether there was one.
    fn end_word(&mut self, component: &str, now: Timestamp) -> bool {
        let mut holding = self.words.iter_mut().filter(|word| word.component == component && word.until > now);
        let is_there = holding.next().map(|word| word.until = now.max(word.from)).is_some();
        // One that never held for a moment says nothing.
        self.words.retain(|word| word.until > word.from);
        is_there
    }

    fn announce(
        &mut self,
        (name, body): (&str, &str),
        (from, until): (Timestamp, Timestamp),
        components: &[String],
        (settings, texts): (&Settings, Texts<'_>),
        now: Timestamp,
    ) -> Result<Done, CommandError> {
        let (name, body) = (texts.name(name)?, texts.body(body)?);
        let components = some(known(components, settings)?)?;
        if now.since(from) > LATE_MS_MAX {
            return Err(CommandError::refused("from: must not be in the past: what was is measured"));
        }
        let from = from.max(now);
        span(from, until, now)?;
        if self.maintenances.len() >= MAINTENANCES_MAX {
            let over =
                self.maintenances.iter().enumerate().filter(|(_, known)| end(known) <= now || known.is_cancelled);
            let oldest = over.min_by_key(|(_, known)| end(known)).map(|(place, _)| place);
            let full = || format!("there are {MAINTENANCES_MAX} maintenances to come");
            self.maintenances.remove(oldest.ok_or_else(|| CommandError::NotPossible(full()))?);
        }
        let id = self.ids.next("maintenance", now);
        self.maintenances.push(Maintenance {
            id: id.clone(),
            name: name.into_string(),
            body: body.into_string(),
            from,
            until,
            created_at: now,
            updated_at: now,
            is_cancelled: false,
            components,
        });
        Ok(Done::of(&id))
    }

    fn change(
        &mut self,
        command: &Command,
        (settings, texts): (&Settings, Texts<'_>),
        now: Timestamp,
    ) -> Result<Done, CommandError> {
        let Command::ChangeMaintenance { maintenance, name, body, from, until, components } = command else {
            return Err(CommandError::refused("this changes no maintenance"));
        };
        let place = self.to_come_or_under_way(maintenance, now)?;
        let before = &self.maintenances[place];
        let has_begun = is_under_way(before, now);
        if has_begun && (from.is_some_and(|from| from != before.from) || components.is_some()) {
            let why = "it has begun: when it began and what it is about cannot change any more";
            return Err(CommandError::NotPossible(why.to_owned()));
        }
        let name = name.as_deref().map(|name| texts.name(name)).transpose()?;
        let body = body.as_deref().map(|body| texts.body(body)).transpose()?;
        let components = components.as_deref().map(|ids| known(ids, settings).and_then(some)).transpose()?;
        let (from, until) = (from.unwrap_or(before.from), until.unwrap_or(before.until));
        if from < now && !has_begun {
            return Err(CommandError::refused("from: must not be in the past"));
        }
        span(from, until, now)?;
        let changed = &mut self.maintenances[place];
        changed.name = name.map_or_else(|| std::mem::take(&mut changed.name), crate::status::PublicText::into_string);
        changed.body = body.map_or_else(|| std::mem::take(&mut changed.body), crate::status::PublicText::into_string);
        changed.components = components.unwrap_or_else(|| std::mem::take(&mut changed.components));
        (changed.from, changed.until) = (from, until);
        changed.updated_at = now.max(changed.updated_at);
        Ok(Done::of(maintenance))
    }

    fn cancel(&mut self, id: &str, now: Timestamp) -> Result<Done, CommandError> {
        let place = self.to_come_or_under_way(id, now)?;
        let cancelled = &mut self.maintenances[place];
        (cancelled.is_cancelled, cancelled.updated_at) = (true, now.max(cancelled.updated_at));
        Ok(Done::of(id))
    }

    fn to_come_or_under_way(&self, id: &str, now: Timestamp) -> Result<usize, CommandError> {
        let place = self.maintenances.iter().position(|known| known.id == id);
        let place = place.ok_or_else(|| CommandError::NotFound(format!("there is no maintenance {id}")))?;
        match &self.maintenances[place] {
            known if known.is_cancelled => Err(CommandError::NotPossible(format!("{id} was called off"))),
            known if known.until <= now => Err(CommandError::NotPossible(format!("{id} is over"))),
            _ => Ok(place),
        }
    }
}

fn some(components: Vec<String>) -> Result<Vec<String>, CommandError> {
    if components.is_empty() { Err(CommandError::refused("components: name at least one")) } else { Ok(components) }
}

fn span(from: Timestamp, until: Timestamp, now: Timestamp) -> Result<(), CommandError> {
    if until <= from || until <= now {
        return Err(CommandError::refused("until: must be after it begins, and in the future"));
    }
    if until.since(from) > MAINTENANCE_MS_MAX {
        return Err(CommandError::refused("until: work lasts 7 days at most"));
    }
    if from.since(now) > AHEAD_MS_MAX {
        return Err(CommandError::refused("from: must be within a year"));
    }
    Ok(())
}
