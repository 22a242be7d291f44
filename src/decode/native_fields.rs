//! The fields of native events: which there are, what each may hold, and how they become an event.

use super::scalar::Scalar;
use super::{Decoded, reject};
use crate::model::{
    AttemptSource, Attributes, Change, ChangeKind, Event, QueryRun, QueryState, RejectionCode, RejectionReason,
    Request, Signal, Text, Timestamp,
};

/// Longest name or id, in bytes: they become keys in memory, and input must not choose our memory.
pub(super) const NAME_BYTES_MAX: usize = 1_024;

macro_rules! fields {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// A field of any kind of native event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Slot { $($variant),* }

        impl Slot {
            const NAMES: &'static [&'static str] = &[$($name),*];
        }

        /// The slot of a known field name.
        pub(super) fn slot(name: &str) -> Option<Slot> {
            match name { $($name => Some(Slot::$variant),)* _ => None }
        }
    };
}

fields! {
    Type = "type", Timestamp = "timestamp", Subscription = "subscription", Client = "client",
    ClientVersion = "client_version", Service = "service", Caller = "caller", Method = "method", Route = "route",
    Status = "status", DurationMs = "duration_ms", RequestBytes = "request_bytes", ResponseBytes = "response_bytes",
    Attempt = "attempt", RequestKey = "request_key", RequestId = "request_id", Region = "region", Host = "host",
    Source = "source", Metric = "metric", Value = "value", Kind = "kind", Version = "version", Title = "title",
    Url = "url", Node = "node", Query = "query", Fingerprint = "fingerprint", User = "user", Origin = "origin",
    State = "state", MemoryBytes = "memory_bytes", ReadRows = "read_rows", ReadBytes = "read_bytes",
    ExceptionCode = "exception_code",
    // Rare ones last: names are compared in this order.
    AttemptSource = "attempt_source", UpstreamAttempts = "upstream_attempts",
}

type Field<T> = Result<T, RejectionReason>;

/// The values of one object, by field.
pub(super) struct Fields<'a> {
    slots: [Scalar<'a>; Slot::NAMES.len()],
    pub(super) attributes: Attributes,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| Scalar::Absent), attributes: Attributes::default() }
    }
}

impl<'a> Fields<'a> {
    /// Of a repeated name the first value counts.
    pub(super) fn set(&mut self, slot: Slot, value: Scalar<'a>) {
        let held = &mut self.slots[slot as usize];
        if held.is_absent() {
            *held = value;
        }
    }

    fn take(&mut self, slot: Slot) -> Scalar<'a> {
        std::mem::take(&mut self.slots[slot as usize])
    }

    /// The event, or the first thing wrong with it. Takes the values out in place: moving them all costs more than reading.
    pub(super) fn event(&mut self) -> Decoded {
        match self.take(Slot::Type) {
            Scalar::Absent => self.request(),
            Scalar::Text(kind) => match &*kind {
                "request" => self.request(),
                "signal" => self.signal(),
                "change" => self.change(),
                "query" => self.query(),
                "watermark" => self.timestamp().map(Event::Watermark),
                other => {
                    let expected = "request, signal, change, query or watermark";
                    Err(reject::value(RejectionCode::UnknownType, "type", expected, other))
                }
            },
            other => Err(reject::value(RejectionCode::WrongType, "type", "text", &other.to_text())),
        }
    }

    fn request(&mut self) -> Decoded {
        Ok(Event::Request(Request {
            timestamp: self.timestamp()?,
            subscription: self.required(Slot::Subscription)?,
            client: self.name(Slot::Client)?,
            client_version: self.name(Slot::ClientVersion)?,
            service: self.name(Slot::Service)?,
            caller: self.name(Slot::Caller)?,
            method: self.name(Slot::Method)?,
            route: self.required(Slot::Route)?,
            status: self.status()?,
            duration_ms: self.duration_ms()?.ok_or_else(|| reject::missing("duration_ms"))?,
            request_bytes: self.count(Slot::RequestBytes)?,
            response_bytes: self.count(Slot::ResponseBytes)?,
            attempt: self.attempt()?,
            attempt_source: self.attempt_source()?,
            upstream_attempts: self.upstream_attempts()?,
            request_key: self.name(Slot::RequestKey)?,
            request_id: self.name(Slot::RequestId)?,
            region: self.name(Slot::Region)?,
            host: self.name(Slot::Host)?,
            attributes: self.rest(),
        }))
    }

    fn signal(&mut self) -> Decoded {
        Ok(Event::Signal(Signal {
            timestamp: self.timestamp()?,
            source: self.required(Slot::Source)?,
            metric: self.required(Slot::Metric)?,
            value: self.number(Slot::Value)?.ok_or_else(|| reject::missing("value"))?,
            attributes: self.rest(),
        }))
    }

    fn change(&mut self) -> Decoded {
        Ok(Event::Change(Change {
            timestamp: self.timestamp()?,
            kind: self.kind()?,
            service: self.required(Slot::Service)?,
            version: self.name(Slot::Version)?,
            title: self.text(Slot::Title)?,
            url: self.text(Slot::Url)?,
            attributes: self.rest(),
        }))
    }

    fn query(&mut self) -> Decoded {
        let query = QueryRun {
            timestamp: self.timestamp()?,
            node: self.required(Slot::Node)?,
            query: self.text(Slot::Query)?,
            fingerprint: self.name(Slot::Fingerprint)?,
            user: self.name(Slot::User)?,
            origin: self.name(Slot::Origin)?,
            version: self.name(Slot::Version)?,
            subscription: self.name(Slot::Subscription)?,
            state: self.state()?,
            duration_ms: self.duration_ms()?,
            memory_bytes: self.count(Slot::MemoryBytes)?,
            read_rows: self.count(Slot::ReadRows)?,
            read_bytes: self.count(Slot::ReadBytes)?,
            exception_code: self.exception_code()?,
            attributes: self.rest(),
        };
        if query.query.is_none() && query.fingerprint.is_none() {
            return Err(reject::field(
                RejectionCode::MissingField,
                "fingerprint",
                "`query` or `fingerprint` is required",
            ));
        }
        Ok(Event::Query(Box::new(query)))
    }

    /// Text of any length a record may have; numbers and truth values are taken as their text.
    fn text(&mut self, slot: Slot) -> Field<Option<Text>> {
        match self.take(slot) {
            Scalar::Absent => Ok(None),
            Scalar::Nested(json) => Err(wrong_type(slot, "text", &json)),
            value => Ok(Some(Text::from(value.to_text()))),
        }
    }

    /// Text short enough to be a key in memory.
    fn name(&mut self, slot: Slot) -> Field<Option<Text>> {
        let text = self.text(slot)?;
        match text {
            Some(long) if long.len() > NAME_BYTES_MAX => Err(out_of_range(slot, "at most 1024 bytes long", &long)),
            text => Ok(text),
        }
    }

    fn required(&mut self, slot: Slot) -> Field<Text> {
        self.name(slot)?.ok_or_else(|| reject::missing(Slot::NAMES[slot as usize]))
    }

    fn timestamp(&mut self) -> Field<Timestamp> {
        const EXPECTED: &str = "RFC 3339 or epoch milliseconds, between the years 2000 and 2199";
        let refuse = |code, found: &str| reject::value(code, "timestamp", EXPECTED, found);
        let value = self.take(Slot::Timestamp);
        if let Scalar::Text(text) = &value
            && let Ok(timestamp) = Timestamp::parse_rfc3339(text)
        {
            return Ok(timestamp);
        }
        if value.is_absent() {
            return Err(reject::missing("timestamp"));
        }
        let found = value.to_text();
        match epoch_ms(&value) {
            Some(epoch_ms) => i64::try_from(epoch_ms)
                .ok()
                .and_then(|epoch_ms| Timestamp::from_epoch_millis_checked(epoch_ms).ok())
                .ok_or_else(|| refuse(RejectionCode::OutOfRange, &found)),
            // Well-formed but in another century is a different mistake from not being a time at all.
            None if found.parse::<jiff::Timestamp>().is_ok() => Err(refuse(RejectionCode::OutOfRange, &found)),
            None => Err(refuse(RejectionCode::WrongType, &found)),
        }
    }

    /// A finite number, also as text.
    fn number(&mut self, slot: Slot) -> Field<Option<f64>> {
        let value = self.take(slot);
        let number = match &value {
            Scalar::Absent => return Ok(None),
            #[allow(clippy::cast_precision_loss)] // Measurements: a 54th bit means nothing.
            Scalar::Whole(number) => *number as f64,
            Scalar::Float(number) => *number,
            Scalar::Text(text) => text.trim().parse().map_err(|_| wrong_type(slot, "a number", text))?,
            Scalar::Truth(_) | Scalar::Nested(_) => {
                return Err(wrong_type(slot, "a number", &value.to_text()));
            }
        };
        if number.is_finite() { Ok(Some(number)) } else { Err(out_of_range(slot, "finite", &value.to_text())) }
    }

    fn duration_ms(&mut self) -> Field<Option<f64>> {
        match self.number(Slot::DurationMs)? {
            Some(negative) if negative < 0.0 => Err(out_of_range(Slot::DurationMs, "0 or more", &negative.to_string())),
            duration => Ok(duration),
        }
    }

    /// A whole number within `range`, also as text or as a float without a fraction.
    fn whole_in(&mut self, slot: Slot, range: std::ops::RangeInclusive<i128>) -> Field<Option<i128>> {
        let value = self.take(slot);
        if value.is_absent() {
            return Ok(None);
        }
        let number = whole(&value).ok_or_else(|| wrong_type(slot, "a whole number", &value.to_text()))?;
        if range.contains(&number) {
            return Ok(Some(number));
        }
        let expected = format!("from {} to {}", range.start(), range.end());
        Err(out_of_range(slot, &expected, &value.to_text()))
    }

    fn count(&mut self, slot: Slot) -> Field<Option<u64>> {
        // ClickHouse and JavaScript alike keep 63 bits; more is a mistake.
        let count = self.whole_in(slot, 0..=i128::from(i64::MAX))?;
        Ok(count.and_then(|count| u64::try_from(count).ok()))
    }

    fn status(&mut self) -> Field<u16> {
        let status = self.whole_in(Slot::Status, 0..=999)?;
        status.and_then(|status| u16::try_from(status).ok()).ok_or_else(|| reject::missing("status"))
    }

    /// 1 is the first attempt. 0 is refused: some proxies write it for "never sent", others for "first", and a guess
    /// would bend the very number that pages are made of.
    fn attempt(&mut self) -> Field<Option<u32>> {
        let attempt = self.whole_in(Slot::Attempt, 1..=i128::from(u32::MAX))?;
        Ok(attempt.and_then(|attempt| u32::try_from(attempt).ok()))
    }

    fn attempt_source(&mut self) -> Field<Option<AttemptSource>> {
        let Some(name) = self.name(Slot::AttemptSource)? else { return Ok(None) };
        let source = AttemptSource::from_name(&name);
        source.map(Some).ok_or_else(|| out_of_range(Slot::AttemptSource, "one of the known sources", &name))
    }

    /// 0: the proxy answered by itself.
    fn upstream_attempts(&mut self) -> Field<Option<u32>> {
        let attempts = self.whole_in(Slot::UpstreamAttempts, 0..=i128::from(u32::MAX))?;
        Ok(attempts.and_then(|attempts| u32::try_from(attempts).ok()))
    }

    fn exception_code(&mut self) -> Field<Option<i32>> {
        let code = self.whole_in(Slot::ExceptionCode, i128::from(i32::MIN)..=i128::from(i32::MAX))?;
        Ok(code.and_then(|code| i32::try_from(code).ok()))
    }

    fn kind(&mut self) -> Field<ChangeKind> {
        let kind = self.required(Slot::Kind)?;
        [ChangeKind::Release, ChangeKind::Deploy, ChangeKind::Config, ChangeKind::Flag]
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| out_of_range(Slot::Kind, "release, deploy, config or flag", &kind))
    }

    fn state(&mut self) -> Field<Option<QueryState>> {
        let Some(state) = self.name(Slot::State)? else { return Ok(None) };
        match state.as_str() {
            "finished" => Ok(Some(QueryState::Finished)),
            "failed" => Ok(Some(QueryState::Failed)),
            "running" => Ok(Some(QueryState::Running)),
            "killed" => Ok(Some(QueryState::Killed)),
            other => Err(out_of_range(Slot::State, "finished, failed, running or killed", other)),
        }
    }

    /// What this kind of event has no field for.
    fn rest(&mut self) -> Attributes {
        for (name, value) in Slot::NAMES.iter().zip(&self.slots) {
            if !value.is_absent() {
                self.attributes.insert(name, &value.to_text());
            }
        }
        std::mem::take(&mut self.attributes)
    }
}

fn wrong_type(slot: Slot, expected: &str, found: &str) -> RejectionReason {
    reject::value(RejectionCode::WrongType, Slot::NAMES[slot as usize], expected, found)
}

fn out_of_range(slot: Slot, expected: &str, found: &str) -> RejectionReason {
    reject::value(RejectionCode::OutOfRange, Slot::NAMES[slot as usize], expected, found)
}

/// Epoch milliseconds: a whole number, or one whose finer digits are cut off, as clocks that count in floats write them.
fn epoch_ms(value: &Scalar<'_>) -> Option<i128> {
    let finer = match value {
        Scalar::Float(float) => Some(*float),
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Absent | Scalar::Whole(_) | Scalar::Truth(_) | Scalar::Nested(_) => None,
    };
    #[allow(clippy::cast_possible_truncation)] // finite, and cast to what is nearest
    whole(value).or_else(|| finer.filter(|float: &f64| float.is_finite()).map(|float| float.floor() as i128))
}

/// A whole number as such, as a float without a fraction, or as the text of either.
pub(super) fn whole(value: &Scalar<'_>) -> Option<i128> {
    /// Floats beyond 2^53 are not exact any more: such a number was not meant as a whole one.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation)] // Within ±2^53 and without a fraction.
    let from_float = |float: f64| (float.fract() == 0.0 && float.abs() <= EXACT_MAX).then_some(float as i128);
    match value {
        Scalar::Whole(number) => Some(*number),
        Scalar::Float(float) => from_float(*float),
        Scalar::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().and_then(from_float))
        }
        Scalar::Absent | Scalar::Truth(_) | Scalar::Nested(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_field_name;

    #[test]
    fn a_clock_that_counts_in_floats_loses_only_its_finer_digits() {
        for value in [Scalar::Float(1_772_360_105_250.75), Scalar::from_text("1772360105250.75")] {
            assert_eq!(epoch_ms(&value), Some(1_772_360_105_250), "{value:?}");
        }
        assert_eq!(epoch_ms(&Scalar::Whole(1_772_360_105_250)), Some(1_772_360_105_250));
        for text in ["NaN", "inf", "soon", "2026-03-01"] {
            assert_eq!(epoch_ms(&Scalar::from_text(text)), None, "{text}");
        }
    }

    #[test]
    fn the_writer_of_events_knows_every_field_that_is_read() {
        for name in Slot::NAMES {
            assert!(is_field_name(name), "{name}");
        }
    }
}
