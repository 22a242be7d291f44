//! OpenTelemetry log records and spans as requests: what JSON and Protobuf have in common.

use super::mapping::Mapping;
use super::native_fields::whole;
use super::scalar::Scalar;
use super::values::{PathId, Values};
use super::{Decoded, EVENTS_PER_RECORD_MAX, formats, mapped, reject};
use crate::config::DecodeConfig;
use crate::model::{Event, RejectionCode, Text};

/// `SPAN_KIND_SERVER`.
const SERVER: i128 = 2;
/// `SPAN_KIND_CLIENT`.
const CLIENT: i128 = 3;

/// Who a client span called, best name first.
const CALLED: [&str; 4] = ["service.peer.name", "peer.service", "server.address", "net.peer.name"];

/// The mapping for OpenTelemetry, and what it needs beyond one.
#[derive(Debug, Clone)]
pub(super) struct OtlpMapping {
    pub(super) mapping: Mapping,
    pub(super) span_kind: PathId,
    called: [PathId; CALLED.len()],
    /// Where caller and service are configured, spans of clients are read as they are.
    roles_are_configured: bool,
}

impl OtlpMapping {
    pub(super) fn new(config: &DecodeConfig) -> Self {
        let mut mapping = Mapping::new(formats::otlp(), config);
        let span_kind = mapping.wanted.add("otlp.kind");
        let called = CALLED.map(|path| mapping.wanted.add(path));
        let roles_are_configured = config.fields.caller.is_some() || config.fields.service.is_some();
        Self { mapping, span_kind, called, roles_are_configured }
    }

    /// What a record became. The resource's values are added already.
    fn event(&self, values: &Values<'_>) -> Decoded {
        match values.get(self.span_kind).map(span_kind) {
            None | Some(Some(SERVER)) => mapped::request(&self.mapping, values),
            Some(Some(CLIENT)) => mapped::request(&self.mapping, values).map(|event| self.as_call(event, values)),
            Some(_) => {
                let message = "a span that is neither a server's nor a client's is no request";
                Err(reject::field(RejectionCode::UnknownType, "kind", message))
            }
        }
    }

    /// A client's span names the caller as its service.
    fn as_call(&self, event: Event, values: &Values<'_>) -> Event {
        match event {
            Event::Request(mut request) if !self.roles_are_configured => {
                request.caller = request.service.take();
                let called = self.called.iter().find_map(|id| values.get(*id));
                request.service = called.map(|name| Text::from(name.to_text()));
                request.service = request.service.filter(|name| name.len() <= super::native_fields::NAME_BYTES_MAX);
                Event::Request(request)
            }
            event => event,
        }
    }
}

/// The number of a kind, which JSON may also spell out.
fn span_kind(value: &Scalar<'_>) -> Option<i128> {
    match &*value.to_text() {
        "SPAN_KIND_SERVER" => Some(SERVER),
        "SPAN_KIND_CLIENT" => Some(CLIENT),
        _ => whole(value),
    }
}

/// Gives the records of one export to whoever decodes.
pub(super) struct Emitter<'e> {
    mapping: &'e OtlpMapping,
    sink: &'e mut dyn FnMut(u16, Decoded),
    next: u16,
    further: u64,
}

impl<'e> Emitter<'e> {
    pub(super) fn new(mapping: &'e OtlpMapping, sink: &'e mut dyn FnMut(u16, Decoded)) -> Self {
        Self { mapping, sink, next: 0, further: 0 }
    }

    /// Whether another record would be too many; it is counted then.
    pub(super) fn is_full(&mut self, waiting: usize) -> bool {
        let full = usize::from(self.next) + waiting >= usize::from(EVENTS_PER_RECORD_MAX);
        self.further += u64::from(full);
        full
    }

    pub(super) fn values(&mut self, values: &Values<'_>) {
        let decoded = self.mapping.event(values);
        self.push(decoded);
    }

    pub(super) fn refuse(&mut self, code: RejectionCode, message: impl Into<String>) {
        self.push(Err(reject::record(code, message)));
    }

    fn push(&mut self, decoded: Decoded) {
        (self.sink)(self.next, decoded);
        self.next = self.next.saturating_add(1);
    }

    /// All was read, or as much as could be.
    pub(super) fn finish(mut self, read: Result<(), String>) {
        if self.further > 0 {
            let rejection = reject::too_many(self.further);
            self.push(Err(rejection));
        }
        match read {
            Err(message) => self.refuse(RejectionCode::Syntax, message),
            Ok(()) if self.next == 0 => self.refuse(RejectionCode::Empty, "neither a log record nor a span"),
            Ok(()) => {}
        }
    }
}
