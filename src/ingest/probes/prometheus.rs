//! A Prometheus text endpoint: the configured series as signals.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;

use super::http::HttpClient;
use super::prometheus_text::{self, Sample};
use super::{ProbeError, Reading, signal};
use crate::config::{PrometheusMetricConfig, PrometheusProbeConfig, Secret};
use crate::model::Timestamp;
use crate::model::metric::MEMORY_LIMIT_BYTES;

/// Longest answer that is read. Large exporters write 10 MiB.
const BODY_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// Most signals of one look; series beyond are left out and the probe says so.
const SIGNALS_MAX: usize = 5_000;
/// Longest source; a series whose labels make a longer one is left out.
const SOURCE_BYTES_MAX: usize = 200;
/// A memory limit from here on means that there is none: 2^60, where runtimes write the largest number they have.
const NO_LIMIT_BYTES: f64 = 1_152_921_504_606_846_976.0;

/// An endpoint and what to make of it.
#[derive(Debug)]
pub(super) struct PrometheusProbe {
    name: String,
    url: Url,
    token: Option<Secret>,
    mappings: Vec<PrometheusMetricConfig>,
    http: HttpClient,
}

impl PrometheusProbe {
    /// Reads the files that the configuration names.
    pub fn new(config: &PrometheusProbeConfig) -> Result<Self, ProbeError> {
        Ok(Self {
            name: config.name.clone(),
            url: Url::parse(&config.url).map_err(|error| ProbeError::Protocol(format!("url: {error}")))?,
            token: config.secret()?,
            mappings: config.metrics.clone(),
            http: HttpClient::new(&config.url, config.ca_file.as_deref(), config.timeout.0)?,
        })
    }

    /// Reads the endpoint once.
    pub async fn look(&self, now: Timestamp) -> Result<Reading, ProbeError> {
        let request = |client: &reqwest::Client| {
            let request = client.get(self.url.clone()).header("accept", "text/plain;version=0.0.4");
            match &self.token {
                Some(token) => request.bearer_auth(token.expose()),
                None => request,
            }
        };
        let answer = self.http.ask(request, BODY_BYTES_MAX).await?;
        if answer.status != 200 {
            let said = ProbeError::quote(&answer.body);
            return Err(ProbeError::Refused(format!("HTTP status {} {said}", answer.status)));
        }
        let text = std::str::from_utf8(&answer.body).map_err(|error| ProbeError::Protocol(error.to_string()))?;
        signals(text, &self.name, &self.mappings, now)
    }
}

/// The configured series of `text`, as signals in the order of source and metric.
fn signals(
    text: &str,
    probe: &str,
    mappings: &[PrometheusMetricConfig],
    now: Timestamp,
) -> Result<Reading, ProbeError> {
    let names: BTreeSet<&str> = mappings.iter().map(|mapping| mapping.name.as_str()).collect();
    let mut sums: BTreeMap<(String, &str), f64> = BTreeMap::new();
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let mut left_out = 0_usize;
    let bad_lines = prometheus_text::read(
        text,
        |name| names.contains(name),
        |sample| {
            for (place, mapping) in mappings.iter().enumerate().filter(|(_, mapping)| matches(mapping, &sample)) {
                found.insert(place);
                let value = sample.value * mapping.factor;
                if !means_something(&mapping.metric, value) {
                    continue;
                }
                match source(&mapping.source, probe, &sample) {
                    Some(source)
                        if sums.len() < SIGNALS_MAX || sums.contains_key(&(source.clone(), &*mapping.metric)) =>
                    {
                        *sums.entry((source, &mapping.metric)).or_default() += value;
                    }
                    _ => left_out += 1,
                }
            }
        },
    );
    if found.is_empty() {
        let kind = if bad_lines > 0 { format!(" ({bad_lines} lines are not of the format)") } else { String::new() };
        return Err(ProbeError::Protocol(format!("none of the configured metrics is there{kind}")));
    }
    let missing: Vec<&str> =
        mappings.iter().enumerate().filter(|(at, _)| !found.contains(at)).map(|(_, m)| m.name.as_str()).collect();
    let events = sums.into_iter().map(|((source, metric), value)| signal(now, &source, metric, value)).collect();
    Ok(Reading { events, note: note(&missing, left_out, bad_lines) })
}

fn matches(mapping: &PrometheusMetricConfig, sample: &Sample<'_>) -> bool {
    mapping.name == sample.name && mapping.labels.iter().all(|(name, value)| sample.label(name) == value)
}

/// NaN and infinity are no readings; a limit of nothing or of nearly infinity is none.
fn means_something(metric: &str, value: f64) -> bool {
    value.is_finite() && (metric != MEMORY_LIMIT_BYTES || (value > 0.0 && value < NO_LIMIT_BYTES))
}

/// The template with labels filled in; `None` when one is absent, or the result is too long.
fn source(template: &str, probe: &str, sample: &Sample<'_>) -> Option<String> {
    let mut source = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (label, after) = after.split_once('}')?;
        let value = if label == "probe" { probe } else { sample.label(label) };
        if value.is_empty() {
            return None;
        }
        source.push_str(before);
        source.push_str(value);
        rest = after;
    }
    source.push_str(rest);
    (source.len() <= SOURCE_BYTES_MAX).then_some(source)
}

fn note(missing: &[&str], left_out: usize, bad_lines: usize) -> Option<String> {
    let mut notes = Vec::new();
    if !missing.is_empty() {
        notes.push(format!("no series for {}", missing.join(", ")));
    }
    if left_out > 0 {
        notes.push(format!("{left_out} series left out: a label of the source is absent, or there are too many"));
    }
    if bad_lines > 0 {
        notes.push(format!("{bad_lines} lines are not of the format"));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;

    const TEXT: &str = "\
jvm_memory_used_bytes{area=\"heap\",pod=\"api-1\"} 100
jvm_memory_used_bytes{area=\"nonheap\",pod=\"api-1\"} 50
jvm_memory_used_bytes{area=\"heap\",pod=\"api-2\"} 70
jvm_memory_used_bytes{area=\"heap\"} 70
jvm_memory_max_bytes{pod=\"api-1\"} -1
process_kilobytes 2
";

    fn mapping(text: &str) -> PrometheusMetricConfig {
        toml::from_str(text).unwrap()
    }

    fn read(text: &str, mappings: &[PrometheusMetricConfig]) -> Result<(Vec<String>, Option<String>), ProbeError> {
        let reading = signals(text, "p", mappings, Timestamp::from_millis(1))?;
        let words = |event: &Event| match event {
            Event::Signal(signal) => format!("{} {} {}", signal.source, signal.metric, signal.value),
            other => panic!("{other:?}"),
        };
        Ok((reading.events.iter().map(words).collect(), reading.note))
    }

    #[test]
    fn series_are_matched_renamed_scaled_and_added_up() {
        let mappings = [
            mapping("name = 'jvm_memory_used_bytes'\nmetric = 'memory_used_bytes'\nsource = 'container/{pod}'"),
            mapping("name = 'jvm_memory_max_bytes'\nmetric = 'memory_limit_bytes'\nsource = 'container/{pod}'"),
            mapping(
                "name = 'process_kilobytes'\nmetric = 'memory_used_bytes'\nsource = 'process/{probe}'\nfactor = 1024.0",
            ),
            mapping(
                "name = 'jvm_memory_used_bytes'\nlabels = { area = 'nonheap', pod = 'api-1' }\nmetric = 'nonheap_bytes'\nsource = 'x'",
            ),
            mapping("name = 'absent'\nmetric = 'm'\nsource = 'x'"),
        ];
        let (signals, note) = read(TEXT, &mappings).unwrap();
        assert_eq!(
            signals,
            [
                "container/api-1 memory_used_bytes 150",
                "container/api-2 memory_used_bytes 70",
                "process/p memory_used_bytes 2048",
                "x nonheap_bytes 50",
            ]
        );
        let note = note.unwrap();
        assert!(note.contains("no series for absent") && note.contains("1 series left out"), "{note}");
    }

    #[test]
    fn a_page_that_is_no_exposition_is_an_error() {
        let mappings = [mapping("name = 'up'\nmetric = 'm'\nsource = 'x'")];
        assert!(read("<html>\n<body>hello</body>\n", &mappings).unwrap_err().to_string().contains("2 lines"));
        assert!(read("down 1\n", &mappings).is_err());
    }

    #[test]
    fn signals_are_bounded() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for i in 0..SIGNALS_MAX + 7 {
            writeln!(text, "up{{pod=\"{i}\"}} 1").unwrap();
        }
        let mappings = [mapping("name = 'up'\nmetric = 'm'\nsource = '{pod}'")];
        let (signals, note) = read(&text, &mappings).unwrap();
        assert_eq!(signals.len(), SIGNALS_MAX);
        assert!(note.unwrap().starts_with("7 series left out"));
    }
}
