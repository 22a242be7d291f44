//! `Accept`: which format is answered (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, header};

use super::super::problem::{Problem, ProblemCode};
use crate::query::ResultFormat;

/// Types that are looked at; what is beyond them nobody prefers.
const RANGES_MAX: usize = 32;

/// The format that is preferred. Without a preference it is JSON.
pub(super) fn format(headers: &HeaderMap) -> Result<ResultFormat, Problem> {
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let ranges: Vec<Range<'_>> =
        values.iter().flat_map(|value| value.split(',')).filter_map(Range::of).take(RANGES_MAX).collect();
    if ranges.is_empty() {
        return Ok(ResultFormat::ALL[0]);
    }
    // Of equals the first in the list of formats.
    let mut best: Option<(u16, ResultFormat)> = None;
    for format in ResultFormat::ALL {
        let quality = quality_of(format.media_type(), &ranges);
        if quality > 0 && best.is_none_or(|(other, _)| quality > other) {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| {
        let types = ResultFormat::ALL.map(ResultFormat::media_type).join(", ");
        Problem::new(ProblemCode::NotAcceptable, format!("answers are of one of these types: {types}"))
    })
}

struct Range<'a> {
    kind: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| kind.contains('/'))?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(Some(1.0), |text| text.parse::<f32>().ok()).filter(|q| (0.0..=1.0).contains(q))?;
        // At most 1,000.
        Some(Self { kind, quality: (quality * 1_000.0) as u16 })
    }

    /// How exactly it names `media_type`; absent: not at all.
    fn precision(&self, media_type: &str) -> Option<u8> {
        let group = media_type.split('/').next().unwrap_or_default();
        match self.kind.split_once('/') {
            _ if self.kind.eq_ignore_ascii_case(media_type) => Some(2),
            Some((of, "*")) if of.eq_ignore_ascii_case(group) => Some(1),
            Some(("*", "*")) => Some(0),
            _ => None,
        }
    }
}

/// What the most exact range says.
fn quality_of(media_type: &str, ranges: &[Range<'_>]) -> u16 {
    let named = ranges.iter().filter_map(|range| Some((range.precision(media_type)?, range.quality)));
    named.max().map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<ResultFormat> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
        format(&headers).ok()
    }

    #[test]
    fn the_preferred_format_is_answered() {
        assert_eq!(format(&HeaderMap::new()).unwrap(), ResultFormat::Json);
        for (accept, expected) in [
            ("*/*", Some(ResultFormat::Json)),
            ("text/csv", Some(ResultFormat::Csv)),
            ("Text/CSV; charset=utf-8", Some(ResultFormat::Csv)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(ResultFormat::Json)),
            ("text/*", Some(ResultFormat::Csv)),
            ("application/json;q=0.5, application/vnd.apache.parquet", Some(ResultFormat::Parquet)),
            ("*/*;q=0.1, application/x-ndjson;q=0.2", Some(ResultFormat::Ndjson)),
            ("application/json;q=0, */*", Some(ResultFormat::Ndjson)),
            ("application/vnd.apache.arrow.stream", Some(ResultFormat::ArrowStream)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("image/png, text/plain;q=0.3", None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
        assert_eq!(chosen("nonsense"), Some(ResultFormat::Json), "what is no type is no wish");
    }

    #[test]
    fn a_refusal_lists_what_there_is() {
        let headers = HeaderMap::from_iter([(header::ACCEPT, "text/html".parse().unwrap())]);
        let problem = format(&headers).unwrap_err();
        assert_eq!(problem.code(), ProblemCode::NotAcceptable);
        assert!(ResultFormat::ALL.iter().all(|format| problem.detail().contains(format.media_type())));
    }
}
