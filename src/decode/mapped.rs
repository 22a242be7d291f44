//! From the values of a record to a request, by a mapping.

use super::convert::{self, Nanos, NoTime};
use super::mapping::Mapping;
use super::native_fields::{NAME_BYTES_MAX, whole};
use super::scalar::Scalar;
use super::values::Values;
use super::{Decoded, combined_names, reject, retry};
use crate::config::{RequestField, TimeUnit};
use crate::model::{AttemptSource, Attributes, Event, RejectionCode, RejectionReason, Request, Text, Timestamp};

type Field<T> = Result<T, RejectionReason>;

/// Most places named in a message about an absent field.
const PLACES_NAMED_MAX: usize = 3;

/// The request that `values` tell of, or the first thing wrong with it.
pub(super) fn request(mapping: &Mapping, values: &Values<'_>) -> Decoded {
    let mut reading = Reading { mapping, values, attributes: Attributes::default() };
    let ended_at = reading.moment(RequestField::EndedAt)?;
    let timestamp = match reading.moment(RequestField::Timestamp)?.or(ended_at) {
        Some(nanos) => timestamp(nanos),
        None => return Err(reading.missing(RequestField::Timestamp)),
    };
    // What has no status is no request: of lines of another kind this is the message that says so.
    let status = reading.status()?;
    let (client, client_version) = reading.client()?;
    let (attempt, request_key, attempt_source) = reading.attempt()?;
    Ok(Event::Request(Request {
        timestamp,
        subscription: reading.subscription()?,
        client,
        client_version,
        service: reading.name(RequestField::Service)?.and_then(|name| convert::service(&name)),
        caller: reading.name(RequestField::Caller)?,
        method: reading.found(RequestField::Method).and_then(|(value, _)| convert::method(&convert::trimmed(&value))),
        route: reading.route()?,
        status,
        duration_ms: reading.duration_ms(ended_at)?,
        request_bytes: reading.count(RequestField::RequestBytes)?,
        response_bytes: reading.count(RequestField::ResponseBytes)?,
        attempt,
        attempt_source,
        upstream_attempts: reading.upstream_attempts()?,
        request_key,
        request_id: reading.name(RequestField::RequestId)?,
        region: reading.name(RequestField::Region)?,
        host: reading.name(RequestField::Host)?,
        attributes: reading.attributes(),
    }))
}

fn timestamp(nanos: Nanos) -> Timestamp {
    // Between 2000 and 2199 milliseconds fit; the range was checked when the moment was read.
    Timestamp::from_millis(i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or_default())
}

struct Reading<'m, 'v, 'a> {
    mapping: &'m Mapping,
    values: &'v Values<'a>,
    attributes: Attributes,
}

impl<'v, 'a> Reading<'_, 'v, 'a> {
    /// The value of a field and what its place says of it: the unit, and what to add.
    fn found(&self, field: RequestField) -> Option<(Scalar<'a>, (TimeUnit, u32))> {
        let (value, source) = self.mapping.find(field, self.values)?;
        Some((value.clone(), source.map_or((TimeUnit::default(), 0), |source| (source.unit, source.add))))
    }

    fn missing(&self, field: RequestField) -> RejectionReason {
        let (places, name) = (self.mapping.places(field), field.name());
        let named: Vec<String> = places.iter().take(PLACES_NAMED_MAX).map(|place| reject::excerpt(place)).collect();
        let message = match (named.as_slice(), places.len().saturating_sub(PLACES_NAMED_MAX)) {
            ([], _) => format!("`{name}` is required, and decode.fields.{name} says no place for it"),
            ([only], _) => format!("`{name}` is required, and {only} has no value"),
            (several, 0) => format!("`{name}` is required, and none of {} has a value", several.join(", ")),
            (several, more) => {
                format!("`{name}` is required, and none of {} and {more} more places has a value", several.join(", "))
            }
        };
        reject::field(RejectionCode::MissingField, name, message)
    }

    /// Short text that nothing depends on. What is too long is left out, and counted: clients write much of a log, and
    /// must not be able to keep their requests out of it.
    fn name(&mut self, field: RequestField) -> Field<Option<Text>> {
        let Some((value, _)) = self.found(field) else { return Ok(None) };
        let text = convert::trimmed(&value);
        if text.len() > NAME_BYTES_MAX {
            self.attributes.leave_out();
            return Ok(None);
        }
        Ok(Some(Text::from(text)).filter(|text| !text.is_empty()))
    }

    fn moment(&self, field: RequestField) -> Field<Option<Nanos>> {
        const EXPECTED: &str =
            "a time between the years 2000 and 2199: RFC 3339, an epoch, or like 17/May/2015:10:05:03 +0000";
        let Some((value, _)) = self.found(field) else { return Ok(None) };
        let refuse = |code| reject::value(code, field.name(), EXPECTED, &value.to_text());
        match convert::moment_nanos(&value) {
            Ok(nanos) => Ok(Some(nanos)),
            Err(NoTime::Unreadable) => Err(refuse(RejectionCode::WrongType)),
            Err(NoTime::OtherCentury) => Err(refuse(RejectionCode::OutOfRange)),
        }
    }

    /// Who is billed; where nobody is named, or by a name that is too long, the client's address.
    fn subscription(&mut self) -> Field<Text> {
        if let Some(subscription) = self.name(RequestField::Subscription)? {
            return Ok(subscription);
        }
        let address = self.found(RequestField::Address);
        let address = address.as_ref().map(|(value, _)| convert::trimmed(value));
        let address =
            address.as_deref().map(convert::address).filter(|text| (1..=NAME_BYTES_MAX).contains(&text.len()));
        address.map(Text::from).ok_or_else(|| self.missing(RequestField::Subscription))
    }

    /// Client and version by their own fields, else by the user agent.
    fn client(&mut self) -> Field<(Option<Text>, Option<Text>)> {
        let (client, version) = (self.name(RequestField::Client)?, self.name(RequestField::ClientVersion)?);
        if client.is_some() || version.is_some() {
            return Ok((client, version));
        }
        let Some((agent, _)) = self.found(RequestField::UserAgent) else { return Ok((None, None)) };
        let agent = convert::trimmed(&agent);
        let named = combined_names::client_of(&agent);
        Ok(named.map(|(client, version)| (Text::from(client), Text::from(version))).unzip())
    }

    fn route(&self) -> Field<Text> {
        let (value, _) = self.found(RequestField::Route).ok_or_else(|| self.missing(RequestField::Route))?;
        let route = convert::route(&convert::trimmed(&value));
        if route.is_empty() { Err(self.missing(RequestField::Route)) } else { Ok(route) }
    }

    /// A whole number from 0 to `max`.
    fn whole(&self, field: RequestField, max: i64) -> Field<Option<i64>> {
        let Some((value, _)) = self.found(field) else { return Ok(None) };
        let refuse = |code, expected: &str| Err(reject::value(code, field.name(), expected, &value.to_text()));
        match whole(&value) {
            None => refuse(RejectionCode::WrongType, "a whole number"),
            Some(number) => match i64::try_from(number).ok().filter(|number| (0..=max).contains(number)) {
                Some(number) => Ok(Some(number)),
                None => refuse(RejectionCode::OutOfRange, &format!("from 0 to {max}")),
            },
        }
    }

    fn status(&self) -> Field<u16> {
        let status = self.whole(RequestField::Status, 999)?;
        let status = status.and_then(|status| u16::try_from(status).ok());
        status.ok_or_else(|| self.missing(RequestField::Status))
    }

    fn count(&self, field: RequestField) -> Field<Option<u64>> {
        Ok(self.whole(field, i64::MAX)?.and_then(|count| u64::try_from(count).ok()))
    }

    /// The duration as logged, else from its two ends.
    fn duration_ms(&self, ended_at: Option<Nanos>) -> Field<f64> {
        let field = RequestField::DurationMs;
        let Some((value, (unit, _))) = self.found(field) else {
            let ends = self.moment(RequestField::StartedAt)?.zip(ended_at);
            // A clock that was set back between them makes it negative: then nothing is known but that it was short.
            #[allow(clippy::cast_precision_loss)] // Of microseconds: exact for 285 years.
            let between = |(start, end): (Nanos, Nanos)| ((end - start).max(0) / 1_000) as f64 / 1e3;
            return ends.map(between).ok_or_else(|| self.missing(field));
        };
        let refuse = |code, expected: &str| Err(reject::value(code, field.name(), expected, &value.to_text()));
        match convert::duration_ms(&value, unit) {
            None => refuse(RejectionCode::WrongType, "a number"),
            Some(negative) if negative < 0.0 => refuse(RejectionCode::OutOfRange, "0 or more"),
            Some(duration_ms) => Ok(duration_ms),
        }
    }

    /// The attempt, the key, and where the first of the two that is there comes from.
    fn attempt(&mut self) -> Field<(Option<u32>, Option<Text>, Option<AttemptSource>)> {
        let attempt = match self.attempt_field()? {
            Some(attempt) => Some((attempt, AttemptSource::Field)),
            None => self.mapping.attempts.iter().find_map(|place| {
                let attempt = (place.read)(self.values.get(place.id)?)?;
                Some((attempt, place.source))
            }),
        };
        let key = match self.name(RequestField::RequestKey)? {
            Some(key) => Some((key, AttemptSource::RequestKey)),
            None => {
                let mut keys = self.mapping.keys.iter();
                keys.find_map(|(id, source)| Some((retry::key(self.values.get(*id)?)?, *source)))
            }
        };
        let source = attempt.as_ref().map(|(_, source)| *source).or(key.as_ref().map(|(_, source)| *source));
        Ok((attempt.map(|(attempt, _)| attempt), key.map(|(key, _)| key), source))
    }

    fn attempt_field(&self) -> Field<Option<u32>> {
        let field = RequestField::Attempt;
        let Some((value, (_, add))) = self.found(field) else { return Ok(None) };
        let refuse = |code, expected: &str| Err(reject::value(code, field.name(), expected, &value.to_text()));
        let Some(number) = whole(&value) else { return refuse(RejectionCode::WrongType, "a whole number") };
        match u32::try_from(number.saturating_add(i128::from(add))) {
            Ok(attempt) if attempt > 0 => Ok(Some(attempt)),
            _ => refuse(RejectionCode::OutOfRange, "1 or more (`add = 1` makes it so when it is counted from 0)"),
        }
    }

    fn upstream_attempts(&self) -> Field<Option<u32>> {
        let field = RequestField::UpstreamAttempts;
        let Some((value, (_, add))) = self.found(field) else { return Ok(None) };
        let attempts = convert::upstream_attempts(&value).and_then(|attempts| attempts.checked_add(add));
        let refuse = || {
            let expected = "a count from 0 on, or a list of addresses";
            reject::value(RejectionCode::WrongType, field.name(), expected, &value.to_text())
        };
        attempts.map(Some).ok_or_else(refuse)
    }

    /// What the list of attributes allows, without queries.
    fn attributes(&mut self) -> Attributes {
        for (name, id) in &self.mapping.attributes {
            if let Some(value) = self.values.get(*id) {
                self.attributes.insert(name, convert::without_query(&value.to_text()));
            }
        }
        std::mem::take(&mut self.attributes)
    }
}
