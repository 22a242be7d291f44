//! Records over HTTP: read under bounds, decoded, handed over, and answered once they are safe.
//!
//! | path | body |
//! |---|---|
//! | `POST /api/v1/events` | native events: `application/x-ndjson`, one a line, or `application/json`, one or an array |
//! | `POST /v1/logs` | OTLP logs: `application/x-protobuf` or `application/json` |

mod body;
mod events;
mod otlp;
mod records;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::auth::Bearer;
use super::problem::{Problem, ProblemCode};
use crate::config::{ByteCount, DecodeConfig, Format, HttpConfig};
use crate::decode::Decoder;
use crate::ingest::{Identity, Intake, IntakeError, Receipt, Reservation};
use crate::metrics::{Input, IntakeOutcome, IntakeRecord, Metrics};
use crate::model::Event;
use body::Limits;
use records::Records;

pub(super) use events::events;
pub(super) use otlp::logs;
pub use records::RecordRejection;

/// Where records are taken.
pub(super) const PATHS: [&str; 2] = ["/api/v1/events", "/v1/logs"];
/// Rejections that an answer names; the others are counted.
const REJECTIONS_TOLD_MAX: usize = 20;

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct IngestState {
    intake: Intake,
    limits: Limits,
    decoders: Arc<Decoders>,
    metrics: Arc<Metrics>,
}

/// A decoder for each kind of body.
#[derive(Debug)]
struct Decoders {
    line: Decoder,
    whole: Decoder,
    otlp_json: Decoder,
    otlp_proto: Decoder,
}

/// What a body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Native events, one a line.
    Lines,
    /// One native event, or an array of them.
    Whole,
    /// OTLP logs as JSON.
    OtlpJson,
    /// OTLP logs as protobuf.
    OtlpProto,
}

impl IngestState {
    /// Records go to `intake`.
    #[must_use]
    pub fn new(intake: Intake, http: &HttpConfig, decode: &DecodeConfig, metrics: Arc<Metrics>) -> Self {
        // A body that is one record has the body's bound, not that of a line.
        let body: ByteCount = http.unpacked_bytes_max;
        let whole = DecodeConfig { record_bytes_max: body, ..decode.clone() };
        let decoders = Decoders {
            line: Decoder::new(Format::Native, decode),
            whole: Decoder::new(Format::Native, &whole),
            otlp_json: Decoder::new(Format::OtlpJson, &whole),
            otlp_proto: Decoder::new(Format::OtlpProto, &whole),
        };
        Self { intake, limits: Limits::new(http), decoders: Arc::new(decoders), metrics }
    }

    /// Reads, decodes and hands over; answers with what became of the records, once those accepted are safe.
    async fn take(&self, kind: Kind, from: &Bearer, headers: &HeaderMap, body: Body) -> Result<Taken, Problem> {
        let taken = self.try_take(kind, from, headers, body).await;
        self.count(&taken);
        taken
    }

    async fn try_take(&self, kind: Kind, from: &Bearer, headers: &HeaderMap, body: Body) -> Result<Taken, Problem> {
        let packed = body::read(&self.intake, self.limits, headers, body).await?;
        let (limits, decoders, from) = (self.limits, Arc::clone(&self.decoders), Arc::clone(&from.0));
        // Decoding megabytes would keep a thread of the runtime from answering anybody else.
        let work = tokio::task::spawn_blocking(move || prepare(packed, limits, kind, &decoders, &from));
        let Prepared { mut records, reservation, identity } =
            work.await.map_err(|_| Problem::new(ProblemCode::Internal, "decoding failed"))??;
        self.metrics.add_rejections(Input::Http, &records.rejected_by_code());
        let events: Vec<Event> = std::mem::take(&mut records.events);
        let Receipt { accepted, refused } =
            self.intake.submit(events, reservation, identity).await.map_err(problem_of)?;
        for (place, reason) in &refused {
            records.refuse_event(*place, reason);
        }
        Ok(Taken { accepted, rejected: records.rejected, rejections: records.rejections })
    }

    fn count(&self, taken: &Result<Taken, Problem>) {
        let outcome = match taken {
            Ok(taken) if taken.rejected == 0 => IntakeOutcome::Accepted,
            Ok(taken) if taken.accepted > 0 => IntakeOutcome::Partial,
            Ok(_) => IntakeOutcome::Refused,
            Err(problem) => match problem.code() {
                ProblemCode::UnderPressure => IntakeOutcome::UnderPressure,
                _ => IntakeOutcome::Refused,
            },
        };
        self.metrics.add_intake_request(outcome);
        if let Ok(taken) = taken {
            self.metrics.add_intake_records(IntakeRecord::Accepted, taken.accepted);
            self.metrics.add_intake_records(IntakeRecord::Rejected, taken.rejected);
        }
    }
}

/// What became of a body's records.
#[derive(Debug)]
struct Taken {
    accepted: u64,
    rejected: u64,
    rejections: Vec<RecordRejection>,
}

/// A body that was decoded.
struct Prepared {
    records: Records,
    reservation: Reservation,
    identity: Identity,
}

/// Unpacks and decodes. Blocks.
fn prepare(
    packed: body::Packed,
    limits: Limits,
    kind: Kind,
    decoders: &Decoders,
    from: &str,
) -> Result<Prepared, Problem> {
    let (bytes, reservation) = packed.unpack(limits)?;
    let identity = identity(kind, from, &bytes);
    let records = match kind {
        Kind::Lines => Records::of_lines(&bytes, &decoders.line),
        Kind::Whole => Records::of_whole(&bytes, &decoders.whole),
        Kind::OtlpJson => Records::of_export(&bytes, &decoders.otlp_json),
        Kind::OtlpProto => Records::of_export(&bytes, &decoders.otlp_proto),
    }?;
    Ok(Prepared { records, reservation, identity })
}

/// Two bodies with the same identity are one that was sent twice.
fn identity(kind: Kind, from: &str, bytes: &[u8]) -> Identity {
    let mut hash = Sha256::new();
    hash.update([kind as u8]);
    hash.update((from.len() as u64).to_le_bytes());
    hash.update(from.as_bytes());
    hash.update(bytes);
    hash.finalize().into()
}

fn problem_of(error: IntakeError) -> Problem {
    match error {
        IntakeError::Pressure { retry_after, reason } => under_pressure(reason.as_str(), retry_after),
        IntakeError::NotPossible(why) => Problem::new(ProblemCode::NotPossible, why),
    }
}

fn under_pressure(why: &str, retry_after: Duration) -> Problem {
    Problem::new(ProblemCode::UnderPressure, why).retry_after(retry_after)
}

/// The media type of the body, in lower case and without parameters; empty when it is not said.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
