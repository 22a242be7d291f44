//! The machine's words. They are made of words of the program, names of components, numbers and times: nothing here can take
//! a name from an event, because no type here holds one.

use jiff::tz::TimeZone;

use super::NAME_CHARS_MAX;
use super::episode::{Episode, Part, Phase};
use super::settings::{ComponentSettings, Settings};
use crate::model::Timestamp;
use crate::status::public_text::Piece::{self, Clock, Count, Fixed, Lasting, Moment, Name};
use crate::status::{ComponentState, Figures, IncidentStatus, PublicText};

/// Components that a title names, and that a text says something of.
const NAMES_MAX: usize = 3;
const SENTENCES_MAX: usize = 10;

/// Words for people to publish, or for the machine to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Proposal {
    /// Title.
    pub name: PublicText,
    /// Where it stands.
    pub status: IncidentStatus,
    /// What users see.
    pub body: PublicText,
}

/// What users feel.
#[derive(Debug, Clone, Copy)]
enum Symptom {
    Failing(Figures),
    Slow(Figures),
    /// Nothing was counted: a person said so.
    Stated,
}

impl Symptom {
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    fn of(part: &Part, component: &ComponentSettings) -> Self {
        let Figures { requests, failures, slow } = part.figures;
        let reaches = |share: f64| failures as f64 >= share * requests as f64;
        match (requests, failures, slow) {
            (0, ..) | (_, 0, 0) => Self::Stated,
            (_, 0, _) => Self::Slow(part.figures),
            _ if slow == 0 || reaches(component.failing_from) => Self::Failing(part.figures),
            _ => Self::Slow(part.figures),
        }
    }

    fn title(self, worst: ComponentState) -> &'static str {
        match (self, worst) {
            (Self::Failing(_), ComponentState::MajorOutage) => ": most requests fail",
            (Self::Failing(_), ComponentState::PartialOutage) => ": many requests fail",
            (Self::Failing(_), _) => ": some requests fail",
            (Self::Slow(_), _) => ": requests are slow",
            (Self::Stated, ComponentState::MajorOutage) => ": major outage",
            (Self::Stated, ComponentState::PartialOutage) => ": partial outage",
            (Self::Stated, _) => ": degraded performance",
        }
    }

    /// What a title says that all requests since then, counted together, do not show.
    fn at_times(self, worst: ComponentState) -> Option<&'static str> {
        let Self::Failing(Figures { requests, failures, .. }) = self else { return None };
        let is_less = |tenths: u64| failures.saturating_mul(10) < requests.saturating_mul(tenths);
        match worst {
            ComponentState::MajorOutage if is_less(5) => Some(", at times most of them"),
            ComponentState::PartialOutage if is_less(1) => Some(", at times many of them"),
            _ => None,
        }
    }

    /// `about 37 % of requests fail`.
    fn sentence(self, worst: ComponentState, is_past: bool) -> Vec<Piece<'static>> {
        let verb = |now: &'static str, past: &'static str| Fixed(if is_past { past } else { now });
        let (mut pieces, verb) = match (self, worst) {
            (Self::Failing(figures), _) => (share(figures.failures, figures.requests), verb(" fail", " failed")),
            (Self::Slow(figures), _) => (share(figures.slow, figures.requests), verb(" are slow", " were slow")),
            (Self::Stated, ComponentState::MajorOutage) => (Vec::new(), verb("it does not work", "it did not work")),
            (Self::Stated, ComponentState::PartialOutage) => {
                (Vec::new(), verb("it does not work in part", "it did not work in part"))
            }
            (Self::Stated, _) => (Vec::new(), verb("it works worse than usual", "it worked worse than usual")),
        };
        pieces.push(verb);
        pieces
    }
}

fn share(part: u64, whole: u64) -> Vec<Piece<'static>> {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    let percent = (part * 200 + whole) / (whole * 2);
    match percent {
        100 if part >= whole => vec![Fixed("all requests")],
        _ if part * 100 < whole => vec![Fixed("less than 1 % of requests")],
        // A share that is not all is not told as all.
        percent => vec![Fixed("about "), Count(u64::try_from(percent).unwrap_or(99).min(99)), Fixed(" % of requests")],
    }
}

/// What the machine has to say of an episode now.
pub(super) fn proposal(episode: &Episode, settings: &Settings, now: Timestamp, phase: Phase) -> Proposal {
    let (status, body) = match phase {
        Phase::Harm | Phase::Unclear => (IncidentStatus::Investigating, harm(episode, settings, now)),
        Phase::Watched => (IncidentStatus::Monitoring, watched(episode, settings, now)),
        Phase::Over => (IncidentStatus::Resolved, over(episode, settings, now)),
    };
    Proposal { name: title(episode, settings), status, body }
}

/// `API, Search: many requests fail`.
fn title(episode: &Episode, settings: &Settings) -> PublicText {
    let parts: Vec<_> = episode.in_order(settings).collect();
    let Some((component, worst)) = parts.iter().rev().max_by_key(|(_, part)| part.worst) else {
        return PublicText::of(&[Fixed("Disturbance")]);
    };
    let symptom = Fixed(Symptom::of(worst, component).title(worst.worst));
    let mut pieces = names(&parts);
    pieces.push(symptom);
    let title = PublicText::of(&pieces);
    if title.characters() <= NAME_CHARS_MAX {
        return title;
    }
    let count = u64::try_from(parts.len()).unwrap_or(u64::MAX);
    PublicText::of(&[Count(count), Fixed(if count == 1 { " component" } else { " components" }), symptom])
}

fn names<'a>(parts: &[(&'a ComponentSettings, &'a Part)]) -> Vec<Piece<'a>> {
    let more = parts.len().saturating_sub(NAMES_MAX);
    let mut pieces = Vec::new();
    for (number, (component, _)) in parts.iter().take(NAMES_MAX).enumerate() {
        if number > 0 {
            pieces.push(Fixed(", "));
        }
        pieces.push(Name(&component.name));
    }
    if more > 0 {
        pieces.extend([Fixed(" and "), Count(u64::try_from(more).unwrap_or(u64::MAX)), Fixed(" more")]);
    }
    pieces
}

fn harm(episode: &Episode, settings: &Settings, now: Timestamp) -> PublicText {
    let is_now = |part: &Part| part.state.is_harm();
    let mut texts = sentences(episode, settings, now, is_now);
    texts.push(PublicText::of(&[Fixed("We are looking into it.")]));
    PublicText::joined(&texts, "\n")
}

fn watched(episode: &Episode, settings: &Settings, now: Timestamp) -> PublicText {
    let mut texts = sentences(episode, settings, now, |_| false);
    texts.push(PublicText::of(&[Fixed("Requests are answered as usual again. We go on watching.")]));
    PublicText::joined(&texts, "\n")
}

fn over(episode: &Episode, settings: &Settings, now: Timestamp) -> PublicText {
    let mut texts = sentences(episode, settings, now, |_| false);
    let span = (episode.started_at(), episode.recovered_at());
    texts.extend(lasted(span, episode.is_partly_unknown(), now, &settings.zone));
    PublicText::joined(&texts, "\n")
}

/// `It lasted 37 minutes, from 10:04 to 10:41 CET.`
///
/// Where nothing was measured for a while before its end, that is the longest it can have been.
pub(super) fn lasted(
    (from, until): (Option<Timestamp>, Option<Timestamp>),
    is_partly_unknown: bool,
    now: Timestamp,
    zone: &TimeZone,
) -> Option<PublicText> {
    let (from, until) = (from?, until?);
    let it_lasted = if is_partly_unknown { "It lasted at most " } else { "It lasted " };
    let mut pieces = vec![Fixed(it_lasted), Lasting(until.since(from)), Fixed(",")];
    pieces.extend(from_to(from, until, now, zone));
    pieces.push(Fixed("."));
    Some(PublicText::of(&pieces))
}

/// ` from 10:04 to 10:41 CET`; the zone is said of both where clocks were changed in between.
fn from_to(from: Timestamp, until: Timestamp, beside: Timestamp, zone: &TimeZone) -> [Piece<'_>; 4] {
    let offset = |at: Timestamp| jiff::Timestamp::from_millisecond(at.as_millis()).map(|at| zone.to_offset(at)).ok();
    let began = if offset(from) == offset(until) {
        Clock { at: from, beside, zone }
    } else {
        Moment { at: from, beside, zone }
    };
    [Fixed(" from "), began, Fixed(" to "), Moment { at: until, beside, zone }]
}

/// A sentence for each component.
fn sentences(
    episode: &Episode,
    settings: &Settings,
    now: Timestamp,
    is_now: impl Fn(&Part) -> bool,
) -> Vec<PublicText> {
    let zone = &settings.zone;
    let parts: Vec<_> = episode.in_order(settings).collect();
    let sentence = |(component, part): &(&ComponentSettings, &Part)| {
        let is_past = !is_now(part);
        let mut pieces = vec![Name(&component.name), Fixed(": ")];
        let symptom = Symptom::of(part, component);
        pieces.extend(symptom.sentence(part.worst, is_past));
        match part.lost_from.or(part.until).filter(|_| is_past) {
            Some(until) => pieces.extend(from_to(part.since, until, now, zone)),
            None => pieces.extend([Fixed(" since "), Moment { at: part.since, beside: now, zone }]),
        }
        pieces.extend(symptom.at_times(part.worst).map(Fixed));
        match (part.lost_from.filter(|_| is_past), part.until) {
            (Some(_), Some(until)) => pieces.extend([
                Fixed(". From then to "),
                Moment { at: until, beside: now, zone },
                Fixed(" nothing was measured"),
            ]),
            (Some(_), None) => pieces.push(Fixed(". Since then nothing is measured")),
            (None, _) => {}
        }
        pieces.push(Fixed("."));
        PublicText::of(&pieces)
    };
    let mut texts: Vec<_> = parts.iter().take(SENTENCES_MAX).map(sentence).collect();
    let more = u64::try_from(parts.len().saturating_sub(SENTENCES_MAX)).unwrap_or(u64::MAX);
    if more > 0 {
        texts.push(PublicText::of(&[Fixed("Components that feel it as well: "), Count(more), Fixed(".")]));
    }
    texts
}
