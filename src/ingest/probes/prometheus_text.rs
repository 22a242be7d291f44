//! Prometheus's text format (0.0.4), as far as it says values: name, labels, number.
//!
//! Comments, types and help texts are skipped, and so is what follows the value (a timestamp, an exemplar). A line that
//! is not understood is counted and left out: one bad exporter line must not hide a memory limit.

use std::borrow::Cow;

/// Most labels of a series that are read; a series with more counts as not understood.
const LABELS_MAX: usize = 64;

/// One series and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    pub name: &'a str,
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label; an absent one is empty, as in Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }
}

/// Gives every sample whose name is `wanted` to `take`, in order. Returns how many lines were not understood.
pub(super) fn read<'a>(text: &'a str, wanted: impl Fn(&str) -> bool, mut take: impl FnMut(Sample<'a>)) -> usize {
    let mut not_understood = 0;
    for line in text.lines() {
        let line = line.trim_start_matches([' ', '\t']);
        if line.trim_end().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = split_name(line);
        if name.is_empty() {
            not_understood += 1;
        } else if wanted(name) {
            match labels_and_value(rest) {
                Some((labels, value)) => take(Sample { name, labels, value }),
                None => not_understood += 1,
            }
        }
    }
    not_understood
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.'));
    text.split_at(end.unwrap_or(text.len()))
}

fn trim(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

fn labels_and_value(text: &str) -> Option<(Labels<'_>, f64)> {
    let (labels, rest) = match trim(text).strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), text),
    };
    let value = number(rest.split_ascii_whitespace().next()?)?;
    Some((labels, value))
}

/// What stands between the braces, and what follows them.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = trim(rest);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        if labels.len() == LABELS_MAX {
            return None;
        }
        let (name, after) = split_name(rest);
        let quoted = trim(trim(after).strip_prefix('=')?).strip_prefix('"')?;
        let (value, after) = quoted_value(quoted)?;
        if name.is_empty() {
            return None;
        }
        labels.push((name, value));
        rest = trim(after);
        rest = match rest.strip_prefix(',') {
            Some(after) => after,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// Text up to the closing quote, with `\\`, `\"` and `\n` resolved, and what follows the quote.
fn quoted_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut resolved = String::new();
    let mut start = 0;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if resolved.is_empty() && start == 0 => return Some((Cow::Borrowed(&text[..at]), &text[at + 1..])),
            '"' => {
                resolved.push_str(&text[start..at]);
                return Some((Cow::Owned(resolved), &text[at + 1..]));
            }
            '\\' => {
                resolved.push_str(&text[start..at]);
                let (escaped_at, escaped) = characters.next()?;
                // An unknown escape stays as it is, backslash included.
                match escaped {
                    'n' => resolved.push('\n'),
                    '\\' | '"' => resolved.push(escaped),
                    other => resolved.extend(['\\', other]),
                }
                start = escaped_at + escaped.len_utf8();
            }
            _ => {}
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    // Go's spelling of infinity has a sign, Rust reads it all the same.
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> (Vec<Sample<'_>>, usize) {
        let mut samples = Vec::new();
        let bad = read(text, |_| true, |sample| samples.push(sample));
        (samples, bad)
    }

    #[test]
    fn the_format_s_own_oddities_are_read() {
        let text = "# HELP http_requests_total The total.\n# TYPE http_requests_total counter\n\
            http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
            http_requests_total{ method = \"post\" , code=\"400\", }    3\n\n\
            msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\"} 1.458255915e9\n\
            metric_without_timestamp_and_labels 12.47\n\
            something_weird{problem=\"division by zero\"} +Inf -3982045\n\
            rpc_duration_seconds_sum 1.7560473e+07 # {trace_id=\"abc\"} 0.5\n";
        let (samples, bad) = all(text);
        assert_eq!((samples.len(), bad), (6, 0));
        assert_eq!((samples[0].label("method"), samples[0].label("absent"), samples[0].value), ("post", "", 1_027.0));
        assert_eq!((samples[1].label("code"), samples[1].value), ("400", 3.0));
        assert_eq!(samples[2].label("path"), "C:\\DIR\\FILE.TXT");
        assert_eq!(samples[2].label("error"), "Cannot find file:\n\"FILE.TXT\"");
        assert!(samples[4].value.is_infinite());
        assert_eq!(samples[5].value, 17_560_473.0);
    }

    #[test]
    fn a_line_that_is_not_understood_hides_no_other() {
        let (samples, bad) = all("a{b=\"c} 1\n{} 1\nb\nc x\nd{=\"\"} 1\ne{a=\"b\" c=\"d\"} 1\n<html>\nf 7\n");
        assert_eq!((samples.len(), bad), (1, 7));
        assert_eq!(samples[0].value, 7.0);
    }

    fn escaped(text: &str) -> String {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
            labels in prop::collection::vec(("[a-z_]{1,8}", any::<String>()), 0..8),
            value in any::<f64>().prop_filter("NaN is not itself", |value| !value.is_nan()),
        ) {
            // A carriage return ends a line here as everywhere; the format has no escape for it.
            let labels: Vec<(String, String)> = labels.into_iter().map(|(n, v)| (n, v.replace('\r', ""))).collect();
            let inside: Vec<String> = labels.iter().map(|(n, v)| format!("{n}=\"{}\"", escaped(v))).collect();
            let line = format!("{name}{{{}}} {value}\n", inside.join(","));
            let (samples, bad) = all(&line);
            prop_assert_eq!(bad, 0);
            prop_assert_eq!(samples[0].name, &name);
            let read: Vec<(String, String)> =
                samples[0].labels.iter().map(|(n, v)| ((*n).to_owned(), v.to_string())).collect();
            prop_assert_eq!(read, labels);
            prop_assert_eq!(samples[0].value, value);
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>(), pieces in "[a{}=\",\\\\ 1\n#]{0,200}") {
            all(&text);
            all(&pieces);
        }
    }
}
