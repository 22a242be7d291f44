//! "Did you mean": the known name that is nearest to one that is not known.

/// Alike enough to be a slip of the finger: 1 is the same word.
const LIKENESS_MIN: f64 = 0.75;

/// The name of `known` that `written` was probably meant to be.
#[must_use]
pub fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(written, name);
    let nearest = known.map(|name| (likeness(name), name)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    nearest.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["dashboard", "ad_hoc", "export"];
        assert_eq!(did_you_mean("dashbord", known.into_iter()), Some("dashboard"));
        assert_eq!(did_you_mean("adhoc", known.into_iter()), Some("ad_hoc"));
        assert_eq!(did_you_mean("reporting", known.into_iter()), None);
    }
}
