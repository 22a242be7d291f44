//! Whether more demand comes than usual: in a crowd requests follow failures sooner by chance.

/// How much of the first requests counted so far is forgotten from window to window: a crowd is known as one within seconds.
const FIRSTS_FORGOTTEN: f64 = 0.25;
/// Share of failures up to which a request after a success is nobody's repeat, by and large.
const FAILING_TELLING_MAX: f64 = 0.8;
/// First requests that their ratio to those expected is not trusted below.
const FIRSTS_PRIOR: f64 = 5.0;

/// First requests of the whole platform of late, and as many as the streams' own pace brings.
#[derive(Debug, Default)]
pub struct Crowd {
    firsts: f64,
    expected: f64,
    /// The same with requests after a success in streams in trouble.
    settled_factor: f64,
}

/// One window of all streams whose pace is known.
#[derive(Debug, Default)]
pub struct CrowdWindow {
    /// Requests of streams without a recent failure ...
    pub clear_firsts: u64,
    /// ... and as many as their own pace brings.
    pub clear_expected: f64,
    /// Requests that came while no failure waited for a repeat ...
    pub firsts: u64,
    /// ... and as many as the streams' own pace brings.
    pub expected: f64,
    /// As many requests as the streams' own pace brings in all.
    pub usual: f64,
    /// Share of the requests of streams in trouble that failed.
    pub failing: f64,
}

impl Crowd {
    /// How many times the usual demand comes; less than usual proves nothing.
    #[must_use]
    pub fn factor(&self) -> f64 {
        ((self.firsts + FIRSTS_PRIOR) / (self.expected + FIRSTS_PRIOR)).max(self.settled_factor).max(1.0)
    }

    /// What is known stays known while too many streams are in trouble to tell anew.
    pub fn count(&mut self, window: &CrowdWindow) {
        let clear_share = if window.usual > 0.0 { window.clear_expected / window.usual } else { 1.0 };
        let keep = 1.0 - FIRSTS_FORGOTTEN * clear_share.clamp(0.0, 1.0);
        self.firsts = self.firsts * keep + window.clear_firsts as f64;
        self.expected = self.expected * keep + window.clear_expected.max(0.0);
        // What follows a success is a first request, unless so much fails that repeats of others surround it.
        self.settled_factor = if window.failing < FAILING_TELLING_MAX {
            (window.firsts as f64 + FIRSTS_PRIOR) / (window.expected.max(0.0) + FIRSTS_PRIOR)
        } else {
            0.0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(clear_firsts: u64, clear_expected: f64) -> CrowdWindow {
        CrowdWindow {
            clear_firsts,
            clear_expected,
            firsts: clear_firsts,
            expected: clear_expected,
            usual: 100.0,
            failing: 0.9,
        }
    }

    #[test]
    fn a_crowd_is_known_in_seconds_and_remembered_while_nothing_can_be_told() {
        let mut crowd = Crowd::default();
        (0..10).for_each(|_| crowd.count(&window(100, 100.0)));
        assert!((crowd.factor() - 1.0).abs() < 0.05);
        (0..2).for_each(|_| crowd.count(&window(800, 100.0)));
        let known = crowd.factor();
        assert!(known > 3.0, "{known}");
        (0..100).for_each(|_| crowd.count(&window(0, 0.0)));
        assert!((crowd.factor() - known).abs() < 1e-9);
    }
}
