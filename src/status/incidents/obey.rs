//! What people ask of incidents. Everything is looked at before anything changes.

use super::case::{Case, Former, Say};
use super::command::{Command, CommandError, Done};
use super::settings::Settings;
use super::{BODY_CHARS_MAX, Incidents, NAME_CHARS_MAX, PUBLISHED_MAX, Proposal, UPDATES_MAX, expose, templates};
use crate::model::{DurationMs, Timestamp};
use crate::status::words::WordCheck;
use crate::status::{Impact, IncidentStatus, PublicText};

/// How long ago an incident may have begun that a person opens.
const STARTED_AGO_MS_MAX: DurationMs = 30 * 86_400_000;
/// Characters that turn the direction of text around and so hide what it says.
const TURNS: [char; 9] =
    ['\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];

impl Incidents {
    /// Does what a person asks of incidents; absent where it is not about them.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing has changed then.
    pub(in crate::status) fn obey(
        &mut self,
        command: &Command,
        who: &str,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Result<Done, CommandError>> {
        let check = self.word_check(settings);
        let texts = Texts { check: &check };
        let mut doing = Doing { incidents: self, settings, now, texts };
        let done = match command {
            Command::Publish { draft, name, status, body, components } => {
                doing.publish(draft, (name.as_deref(), *status), (body.as_deref(), components.as_deref()))
            }
            Command::Discard { draft } => doing.discard(draft),
            Command::Open { name, body, status, impact, components, started_at } => {
                doing.open((name, body), (*status, *impact), components, *started_at)
            }
            Command::Update { incident, body, status, name, components, reopen } => {
                doing.update(incident, (body, name.as_deref()), (*status, *reopen), components.as_deref())
            }
            Command::EditUpdate { incident, update, body } => doing.edit(incident, update, body, who),
            Command::Resolve { incident, body } => doing.resolve(incident, body.as_deref()),
            Command::Postmortem { incident, body } => doing.postmortem(incident, body),
            _ => return None,
        };
        if let Ok(Done { id, .. }) = &done
            && let Some(case) = self.cases.iter_mut().find(|case| case.id == *id)
        {
            case.person_wrote_at = Some(now);
            case.show_hold(settings, now);
            case.exposed.clear();
            expose(case, &check);
            self.make_room(id);
        }
        Some(done)
    }
}

/// A person's texts, as they may become public.
#[derive(Debug, Clone, Copy)]
pub(in crate::status) struct Texts<'a> {
    pub(in crate::status) check: &'a WordCheck,
}

impl Texts<'_> {
    /// A title: one line.
    pub(in crate::status) fn name(&self, text: &str) -> Result<PublicText, CommandError> {
        let text = text.trim();
        if text.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
            return Err(CommandError::refused("name: must be one line"));
        }
        self.of("name", text, NAME_CHARS_MAX)
    }

    /// A text of several lines.
    pub(in crate::status) fn body(&self, text: &str) -> Result<PublicText, CommandError> {
        self.of("body", &tidy(text), BODY_CHARS_MAX)
    }

    /// A text of its own name and length.
    pub(in crate::status) fn of(
        &self,
        field: &'static str,
        text: &str,
        chars_max: usize,
    ) -> Result<PublicText, CommandError> {
        let count = text.chars().count();
        if text.trim().is_empty() {
            return Err(CommandError::Refused(format!("{field}: must not be empty")));
        }
        if count > chars_max {
            return Err(CommandError::Refused(format!("{field}: has {count} characters; {chars_max} are the most")));
        }
        let is_odd = |c: &char| (c.is_control() && *c != '\n' && *c != '\t') || TURNS.contains(c);
        if let Some(odd) = text.chars().find(is_odd) {
            let odd = u32::from(odd);
            return Err(CommandError::Refused(format!("{field}: holds the character U+{odd:04X}, which nobody sees")));
        }
        self.check.check(text).map_err(|error| CommandError::Refused(format!("{field}: {error}")))
    }
}

/// Lines as we write them, without blanks around the whole.
fn tidy(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

/// Components that there are, each once.
pub(in crate::status) fn known(components: &[String], settings: &Settings) -> Result<Vec<String>, CommandError> {
    if let Some(unknown) = components.iter().find(|id| settings.component(id).is_none()) {
        let ids: Vec<&str> = settings.components.iter().map(|component| component.id.as_str()).collect();
        let near = crate::model::did_you_mean(unknown, ids.iter().copied());
        let hint = near.map_or_else(|| format!("there are {}", ids.join(", ")), |near| format!("did you mean {near}?"));
        return Err(CommandError::Refused(format!("components: \"{unknown}\" is not one: {hint}")));
    }
    let mut components = components.to_vec();
    components.sort_by_key(|id| settings.place(id));
    components.dedup();
    Ok(components)
}

struct Doing<'a> {
    incidents: &'a mut Incidents,
    settings: &'a Settings,
    now: Timestamp,
    texts: Texts<'a>,
}

impl Doing<'_> {
    fn draft(&self, id: &str) -> Result<usize, CommandError> {
        let place = self.incidents.cases.iter().position(|case| case.id == id);
        let place = place.ok_or_else(|| CommandError::NotFound(format!("there is no draft {id}")))?;
        match self.incidents.cases[place].public {
            None => Ok(place),
            Some(_) => Err(CommandError::NotPossible(format!("{id} is public already: update it"))),
        }
    }

    fn published(&self, id: &str) -> Result<(usize, IncidentStatus), CommandError> {
        let mut cases = self.incidents.cases.iter().enumerate();
        let found = cases.find(|(_, case)| case.id == id);
        let (place, case) = found.ok_or_else(|| CommandError::NotFound(format!("there is no incident {id}")))?;
        let public = case.public.as_ref();
        let status = public.map(|public| public.status);
        let is_draft = || CommandError::NotPossible(format!("{id} is a draft: publish it first"));
        Ok((place, status.ok_or_else(is_draft)?))
    }

    fn room_for_one_more(&self) -> Result<(), CommandError> {
        let full = || format!("there are {PUBLISHED_MAX} incidents, and none of them is over");
        if self.incidents.has_room_for_published() { Ok(()) } else { Err(CommandError::NotPossible(full())) }
    }

    fn room_for_update(&self, place: usize, status: IncidentStatus) -> Result<(), CommandError> {
        let is_full = !self.incidents.cases[place].has_room(status);
        let full = || format!("the incident has as many of its {UPDATES_MAX} updates as this status may");
        if is_full { Err(CommandError::NotPossible(full())) } else { Ok(()) }
    }

    /// Does nothing that can fail.
    fn say(&mut self, place: usize, say: Say) -> Done {
        let Incidents { cases, ids, .. } = &mut *self.incidents;
        let case: &mut Case = &mut cases[place];
        let update = if case.public.is_some() {
            case.say(say, self.settings, ids, self.now)
        } else {
            case.publish(say, self.settings, ids, self.now)
        };
        Done { update: Some(update), ..Done::of(&case.id) }
    }

    fn publish(
        &mut self,
        id: &str,
        (name, status): (Option<&str>, Option<IncidentStatus>),
        (body, components): (Option<&str>, Option<&[String]>),
    ) -> Result<Done, CommandError> {
        let place = self.draft(id)?;
        self.room_for_one_more()?;
        let proposed = self.incidents.cases[place].proposal(self.settings, self.now, self.incidents.measured_until());
        let proposed = proposed.ok_or_else(|| CommandError::NotPossible(format!("{id} holds nothing to publish")))?;
        let Proposal { name: proposed_name, status: proposed_status, body: proposed_body } = proposed;
        let status = status.unwrap_or(proposed_status);
        if status == IncidentStatus::Postmortem {
            return Err(CommandError::refused("status: postmortem comes after resolved"));
        }
        // Words of the templates come back from a form unchanged: they are public by construction.
        let chosen = |given: Option<&str>, proposed: PublicText, check: &dyn Fn(&str) -> Result<PublicText, _>| {
            let given = given.filter(|given| tidy(given) != proposed.as_str());
            given.map_or(Ok(proposed), check)
        };
        let name = Some(chosen(name, proposed_name, &|text| self.texts.name(text))?);
        let body = chosen(body, proposed_body, &|text| self.texts.body(text))?;
        let components = components.map(|components| known(components, self.settings)).transpose()?;
        Ok(self.say(place, Say { status, body, name, components }))
    }

    fn discard(&mut self, id: &str) -> Result<Done, CommandError> {
        let place = self.draft(id)?;
        self.incidents.cases.remove(place);
        Ok(Done::of(id))
    }

    fn open(
        &mut self,
        (name, body): (&str, &str),
        (status, impact): (Option<IncidentStatus>, Option<Impact>),
        components: &[String],
        started_at: Option<Timestamp>,
    ) -> Result<Done, CommandError> {
        let (name, body) = (Some(self.texts.name(name)?), self.texts.body(body)?);
        let components = known(components, self.settings)?;
        let status = status.unwrap_or(IncidentStatus::Investigating);
        if status == IncidentStatus::Postmortem {
            return Err(CommandError::refused("status: postmortem comes after resolved"));
        }
        let impact = impact.unwrap_or(Impact::Minor);
        if impact == Impact::Maintenance {
            return Err(CommandError::refused("impact: maintenance is announced, not opened"));
        }
        let started_at = started_at.unwrap_or(self.now);
        if started_at > self.now || self.now.since(started_at) > STARTED_AGO_MS_MAX {
            return Err(CommandError::refused("started_at: must be in the last 30 days"));
        }
        self.room_for_one_more()?;
        let id = self.incidents.ids.next("incident", self.now);
        self.incidents.cases.push(Case::new(id, self.now, None));
        let place = self.incidents.cases.len() - 1;
        let done = self.say(place, Say { status, body, name, components: Some(components) });
        if let Some(public) = &mut self.incidents.cases[place].public {
            (public.impact, public.started_at) = (impact, started_at);
        }
        Ok(done)
    }

    fn update(
        &mut self,
        id: &str,
        (body, name): (&str, Option<&str>),
        (status, reopen): (Option<IncidentStatus>, bool),
        components: Option<&[String]>,
    ) -> Result<Done, CommandError> {
        let (place, before) = self.published(id)?;
        let status = status.unwrap_or(if reopen { IncidentStatus::Investigating } else { before });
        allowed(before, status, reopen)?;
        self.room_for_update(place, status)?;
        let (body, name) = (self.texts.body(body)?, name.map(|name| self.texts.name(name)).transpose()?);
        let components = components.map(|components| known(components, self.settings)).transpose()?;
        if reopen {
            // What was measured then is told; what is measured from now on is taken up again.
            self.incidents.cases[place].episode = None;
        }
        Ok(self.say(place, Say { status, body, name, components }))
    }

    fn edit(&mut self, id: &str, update: &str, body: &str, who: &str) -> Result<Done, CommandError> {
        let (place, _) = self.published(id)?;
        let body = self.texts.body(body)?;
        let case = &mut self.incidents.cases[place];
        let public = case.public.as_mut().ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
        let absent = || CommandError::NotFound(format!("the incident {id} has no update {update}"));
        let found = public.updates.iter_mut().find(|known| known.id == update).ok_or_else(absent)?;
        let now = self.now.max(found.updated_at);
        let said = std::mem::replace(&mut found.body, body.into_string());
        found.updated_at = now;
        public.updated_at = public.updated_at.max(now);
        case.remember(Former { update: update.to_owned(), body: said, until: now, by: who.to_owned() });
        Ok(Done { update: Some(update.to_owned()), ..Done::of(id) })
    }

    fn resolve(&mut self, id: &str, body: Option<&str>) -> Result<Done, CommandError> {
        let (place, before) = self.published(id)?;
        allowed(before, IncidentStatus::Resolved, false)?;
        self.room_for_update(place, IncidentStatus::Resolved)?;
        let body = match body {
            Some(body) => self.texts.body(body)?,
            None => self.how_long(place)?,
        };
        Ok(self.say(place, Say { status: IncidentStatus::Resolved, body, name: None, components: None }))
    }

    fn how_long(&self, place: usize) -> Result<PublicText, CommandError> {
        let case = &self.incidents.cases[place];
        let started_at = case.public.as_ref().map(|public| public.started_at);
        let recovered_at = case.episode.as_ref().and_then(super::Episode::recovered_at);
        let until = recovered_at.unwrap_or(self.now).min(self.now);
        let is_partly_unknown = case.episode.as_ref().is_some_and(super::Episode::is_partly_unknown);
        let words = templates::lasted((started_at, Some(until)), is_partly_unknown, self.now, &self.settings.zone);
        words.ok_or_else(|| CommandError::refused("body: must not be empty"))
    }

    fn postmortem(&mut self, id: &str, body: &str) -> Result<Done, CommandError> {
        let (place, before) = self.published(id)?;
        allowed(before, IncidentStatus::Postmortem, false)?;
        self.room_for_update(place, IncidentStatus::Postmortem)?;
        let body = self.texts.body(body)?;
        Ok(self.say(place, Say { status: IncidentStatus::Postmortem, body, name: None, components: None }))
    }
}

/// Whether an incident may go from one status to another.
fn allowed(before: IncidentStatus, after: IncidentStatus, reopen: bool) -> Result<(), CommandError> {
    let why = match (before.is_over(), after) {
        _ if reopen && !before.is_over() => "it is open: `reopen` is for what is over",
        _ if reopen && after.is_over() => "`reopen` needs a status that is open",
        (true, IncidentStatus::Postmortem) | (false, IncidentStatus::Resolved) => return Ok(()),
        (true, IncidentStatus::Resolved) if before == IncidentStatus::Resolved => {
            "it is over: say more in a post-mortem, or `reopen` it"
        }
        (true, IncidentStatus::Resolved) => "it has a post-mortem: it stays one",
        (true, _) if reopen => return Ok(()),
        (true, _) => "it is over: `reopen` it first",
        (false, IncidentStatus::Postmortem) => "a post-mortem comes after it is resolved",
        (false, _) => return Ok(()),
    };
    Err(CommandError::NotPossible(format!("status: {} to {}: {why}", before.as_str(), after.as_str())))
}
