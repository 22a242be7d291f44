//! Words of a rule with places for what an alert is about, as Prometheus writes them: `{{ $labels.service }}`, `{{ $value }}`.
//! Nothing else is taken for a template: a mistake in one would be told to whoever is woken.

use crate::model::{Dimension, Dimensions};

/// What is written into a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    Label(Dimension),
}

impl Place {
    /// The place that `inner`, between the braces, stands for.
    fn of(inner: &str) -> Option<Self> {
        match inner.trim().strip_prefix('$')? {
            "value" => Some(Self::Value),
            name => {
                let name = name.strip_prefix("labels.")?;
                Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == name).map(Self::Label)
            }
        }
    }
}

/// A text up to its first place: what stands before it, between the braces, and behind them. Of a place without an end, all
/// of it stands between.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (inner, behind) = rest.split_once("}}").unwrap_or((&text[before.len()..], ""));
    Some((before, inner, behind))
}

/// The first place in a text that stands for nothing known, as it is written between the braces.
pub(super) fn unknown_place(mut text: &str) -> Option<&str> {
    while let Some((_, inner, behind)) = split(text) {
        if Place::of(inner).is_none() {
            return Some(inner.trim());
        }
        text = behind;
    }
    None
}

/// A text with its places filled. A label that the alert does not have is empty, as with Prometheus.
pub(super) fn filled(mut text: &str, labels: &Dimensions, value: f64) -> String {
    let mut filled = String::with_capacity(text.len());
    while let Some((before, inner, behind)) = split(text) {
        filled.push_str(before);
        match Place::of(inner) {
            Some(Place::Value) => filled.push_str(&value.to_string()),
            Some(Place::Label(dimension)) => filled.push_str(labels.get(dimension).unwrap_or_default()),
            None => {}
        }
        text = behind;
    }
    filled + text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_a_name_with_braces_is_no_place() {
        let labels = Dimensions::new([(Dimension::Service, "{{ $value }}".into())]);
        let text = "{{ $labels.service }} at {{$value}}, {{ $labels.route }}.";
        assert_eq!(unknown_place(text), None);
        assert_eq!(filled(text, &labels, 0.125), "{{ $value }} at 0.125, .");
        assert_eq!(filled("no place", &labels, 1.0), "no place");
    }

    #[test]
    fn what_prometheus_knows_beyond_that_is_unknown() {
        for (text, unknown) in [
            ("{{ $value | humanizePercentage }}", "$value | humanizePercentage"),
            ("ok {{ $value }} {{ $labels.alertname }}", "$labels.alertname"),
            ("{{ $labels.instance }}", "$labels.instance"),
            ("{{ with query \"x\" }}", "with query \"x\""),
            ("{{ $value", "{{ $value"),
            ("{{ }}", ""),
            ("{{- $value -}}", "- $value -"),
        ] {
            assert_eq!(unknown_place(text), Some(unknown), "{text}");
        }
    }
}
