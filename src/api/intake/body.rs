//! A request's body: read and unpacked under bounds, each byte counted as pending before it is held.

use std::io::Read;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;

use super::super::problem::{Problem, ProblemCode};
use crate::config::HttpConfig;
use crate::ingest::{Intake, Reservation};

/// Unpacking goes on in steps of this size, so that a small body that unpacks to gigabytes is seen early.
const STEP_BYTES: usize = 64 * 1024;

/// How large bodies may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    packed_bytes_max: usize,
    unpacked_bytes_max: usize,
}

impl Limits {
    pub(super) fn new(http: &HttpConfig) -> Self {
        Self {
            packed_bytes_max: http.body_bytes_max.as_usize(),
            unpacked_bytes_max: http.unpacked_bytes_max.as_usize(),
        }
    }

    fn too_large(self) -> Problem {
        let message = format!("the body is larger than {} bytes (http.body_bytes_max)", self.packed_bytes_max);
        Problem::new(ProblemCode::TooLarge, message)
    }

    fn unpacks_too_large(self) -> Problem {
        let message =
            format!("the body unpacks to more than {} bytes (http.unpacked_bytes_max)", self.unpacked_bytes_max);
        Problem::new(ProblemCode::TooLarge, message)
    }
}

/// A body as it was sent.
pub(super) struct Packed {
    bytes: Vec<u8>,
    gzip: bool,
    reservation: Reservation,
}

/// Reads the body.
pub(super) async fn read(
    intake: &Intake,
    limits: Limits,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Packed, Problem> {
    let gzip = is_gzip(headers)?;
    if body.size_hint().lower() > limits.packed_bytes_max as u64 {
        return Err(limits.too_large());
    }
    let mut reservation = intake.reserve(0).map_err(super::problem_of)?;
    let mut bytes = Vec::new();
    while let Some(data) = next(&mut body).await? {
        if bytes.len() + data.len() > limits.packed_bytes_max {
            return Err(limits.too_large());
        }
        reservation.grow(data.len()).map_err(super::problem_of)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Packed { bytes, gzip, reservation })
}

/// The next data; trailers are passed over.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Problem::new(ProblemCode::BadBody, "the body broke off")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Problem::new(ProblemCode::UnsupportedMediaType, "the only content-encoding that is read is gzip")),
    }
}

impl Packed {
    /// The body's content, and what it holds of the pending bytes.
    pub(super) fn unpack(self, limits: Limits) -> Result<(Vec<u8>, Reservation), Problem> {
        let Self { bytes, gzip, mut reservation } = self;
        if !gzip {
            return Ok((bytes, reservation));
        }
        let mut decoder = MultiGzDecoder::new(bytes.as_slice());
        let mut unpacked = Vec::new();
        loop {
            reservation.grow(STEP_BYTES).map_err(super::problem_of)?;
            let read = (&mut decoder).take(STEP_BYTES as u64).read_to_end(&mut unpacked);
            let read = read.map_err(|error| Problem::new(ProblemCode::BadBody, format!("not gzip: {error}")))?;
            if unpacked.len() > limits.unpacked_bytes_max {
                return Err(limits.unpacks_too_large());
            }
            if read < STEP_BYTES {
                return Ok((unpacked, reservation));
            }
        }
    }
}
