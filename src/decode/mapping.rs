//! A mapping: for each field of a request the places where it may be found. Formats are mappings, and configuration
//! replaces any of their rules.

use super::formats::{Builtin, Place};
use super::retry::{ATTEMPT_HEADERS, KEY_HEADERS};
use super::scalar::Scalar;
use super::values::{PathId, Values, Wanted};
use crate::config::{DecodeConfig, FieldRule, RequestField, TimeUnit};
use crate::model::{AttemptSource, Text};

/// A mapping, ready to be applied to many records.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) wanted: Wanted,
    rules: Vec<Rule>,
    /// Where an attempt may be read, the most trusted first.
    pub(super) attempts: Vec<AttemptPlace>,
    /// Where a key may be read, the most trusted first.
    pub(super) keys: Vec<(PathId, AttemptSource)>,
    /// What is kept beside the fields, with its name.
    pub(super) attributes: Vec<(Text, PathId)>,
}

#[derive(Debug, Clone, Default)]
struct Rule {
    sources: Vec<Source>,
    constant: Option<Scalar<'static>>,
    missing: Vec<String>,
}

/// Where a value may be found, and how it is written there.
#[derive(Debug, Clone)]
pub(super) struct Source {
    id: PathId,
    /// As it was configured, for messages.
    path: Text,
    pub(super) unit: TimeUnit,
    /// To add to a number.
    pub(super) add: u32,
}

/// A header that tells the attempt, at one place.
#[derive(Debug, Clone)]
pub(super) struct AttemptPlace {
    pub(super) id: PathId,
    pub(super) source: AttemptSource,
    pub(super) read: fn(&Scalar<'_>) -> Option<u32>,
}

impl Mapping {
    /// The mapping of a format, with what `config` replaces.
    pub(super) fn new(builtin: &Builtin, config: &DecodeConfig) -> Self {
        let mut wanted = Wanted::default();
        let rules = RequestField::ALL.iter().map(|field| match config.fields.get(*field) {
            Some(rule) => configured(rule, &mut wanted),
            None => shipped(builtin, *field, &mut wanted),
        });
        let rules: Vec<Rule> = rules.collect();
        let mut mapping = Self { wanted, rules, attempts: Vec::new(), keys: Vec::new(), attributes: Vec::new() };
        mapping.add_headers(builtin);
        let attributes: Vec<&str> = match &config.attributes {
            Some(paths) => paths.iter().map(String::as_str).collect(),
            None => builtin.attributes.to_vec(),
        };
        mapping.attributes = attributes.into_iter().map(|path| (Text::from(path), mapping.wanted.add(path))).collect();
        mapping
    }

    /// Retry headers, wherever the format may keep headers, in both spellings of their names.
    fn add_headers(&mut self, builtin: &Builtin) {
        for header in &ATTEMPT_HEADERS {
            for path in header_paths(builtin, header.name) {
                let id = self.wanted.add(&path);
                // What the proxy itself counted is no attempt of its client.
                if !self.sources(RequestField::UpstreamAttempts).iter().any(|source| source.id == id) {
                    self.attempts.push(AttemptPlace { id, source: header.source, read: header.read });
                }
            }
        }
        for path in builtin.resend_counts {
            let (id, source) = (self.wanted.add(path), AttemptSource::ResendCount);
            self.attempts.push(AttemptPlace { id, source, read: super::retry::attempt_after_repeats });
        }
        for (name, source) in KEY_HEADERS {
            for path in header_paths(builtin, name) {
                let id = self.wanted.add(&path);
                self.keys.push((id, source));
            }
        }
    }

    fn sources(&self, field: RequestField) -> &[Source] {
        &self.rules[field as usize].sources
    }

    /// The first value that a field's rule finds, and where; a constant has no place.
    pub(super) fn find<'v, 'a: 'v>(
        &'v self,
        field: RequestField,
        values: &'v Values<'a>,
    ) -> Option<(&'v Scalar<'a>, Option<&'v Source>)> {
        let rule = &self.rules[field as usize];
        let found = rule.sources.iter().find_map(|source| {
            let value = values.get(source.id)?;
            let is_missing = !rule.missing.is_empty() && rule.missing.iter().any(|text| *text == value.to_text());
            (!is_missing).then_some((value, Some(source)))
        });
        found.or_else(|| rule.constant.as_ref().map(|constant| (constant, None)))
    }

    /// Where a field was looked for, for people: also where its stand-ins were.
    pub(super) fn places(&self, field: RequestField) -> Vec<&str> {
        let stand_ins: &[RequestField] = match field {
            RequestField::Timestamp => &[RequestField::EndedAt],
            RequestField::Subscription => &[RequestField::Address],
            RequestField::DurationMs => &[RequestField::StartedAt, RequestField::EndedAt],
            _ => &[],
        };
        let fields = std::iter::once(&field).chain(stand_ins);
        fields.flat_map(|field| self.sources(*field)).map(|source| source.path.as_str()).collect()
    }
}

fn configured(rule: &FieldRule, wanted: &mut Wanted) -> Rule {
    let unit = rule.unit.unwrap_or_default();
    let source = |path: &String| Source { id: wanted.add(path), path: Text::from(path.as_str()), unit, add: rule.add };
    Rule {
        sources: rule.paths.iter().map(source).collect(),
        constant: rule.constant.as_deref().map(Scalar::from_text).filter(|constant| !constant.is_absent()),
        missing: rule.missing.clone(),
    }
}

fn shipped(builtin: &Builtin, field: RequestField, wanted: &mut Wanted) -> Rule {
    let of_field = |known: &RequestField| *known == field;
    let places = builtin.fields.iter().filter(|(known, _)| of_field(known)).flat_map(|(_, places)| places.iter());
    let constant = builtin.constants.iter().find(|(known, _)| of_field(known));
    let missing = builtin.missing.iter().filter(|(known, _)| of_field(known)).flat_map(|(_, values)| values.iter());
    Rule {
        sources: places
            .map(|Place { path, unit, add }| Source {
                id: wanted.add(path),
                path: Text::const_new(path),
                unit: *unit,
                add: *add,
            })
            .collect(),
        constant: constant.map(|(_, text)| Scalar::from_text(text)),
        missing: missing.map(|value| (*value).to_owned()).collect(),
    }
}

fn header_paths(builtin: &Builtin, name: &str) -> Vec<String> {
    let spellings = [name.to_owned(), name.replace('-', "_")];
    let places = builtin.headers.iter();
    places.flat_map(|place| spellings.iter().map(|spelling| place.replace("{}", spelling))).collect()
}
